//! Sorting in few bytes: `core`'s sorts cost 3 KiB of code for each type, and boot's lists are short.

/// Sorts by a key; what is equal keeps its order.
pub fn by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    by(items, |a, b| key(a) > key(b));
}

/// Sorts by insertion, until none is `above` the next. Quick for lists that are short, or nearly in order already.
pub fn by<T>(items: &mut [T], above: impl Fn(&T, &T) -> bool) {
    for end in 1..items.len() {
        for at in (0..end).rev() {
            let Some([a, b, ..]) = items.get_mut(at..) else { break };
            if !above(a, b) {
                break;
            }
            core::mem::swap(a, b);
        }
    }
}

/// Sorts numbers, however many there are: Shell's way, insertion over shrinking distances.
pub fn numbers(numbers: &mut [u64]) {
    let mut gap = numbers.len();
    while gap > 1 {
        gap = (gap.saturating_mul(5) / 11).max(1);
        for end in gap..numbers.len() {
            let mut at = end;
            while let Some(below) = at.checked_sub(gap).filter(|below| numbers.get(*below) > numbers.get(at))
            {
                numbers.swap(below, at);
                at = below;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_sort_as_the_library_does(list in proptest::collection::vec((0u64..20, any::<u8>()), 0..50)) {
            let (mut ours, mut theirs) = (list.clone(), list);
            by_key(&mut ours, |(key, _)| *key);
            theirs.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(&ours, &theirs);

            let mut sorted: Vec<u64> = ours.iter().rev().map(|(key, _)| *key).collect();
            numbers(&mut sorted);
            prop_assert!(sorted.is_sorted());
            prop_assert_eq!(sorted.len(), ours.len());
        }
    }
}
