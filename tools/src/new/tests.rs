use super::*;
use crate::qemu::Scratch;

fn board() -> Board {
    Board::File(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../dts/bad/board.dts"))
}

/// The answers' description, and what was asked.
fn answered(answers: &str) -> (Result<String, NewError>, String) {
    let mut asked = Vec::new();
    let text = new_with(&board(), None, Vec::new(), &mut answers.as_bytes(), &mut asked);
    (text, String::from_utf8(asked).unwrap())
}

/// Checks a description whose images are none.
fn passes(text: &str) {
    let folder = Scratch::new().unwrap();
    let cells = folder.path().join("cells.dts");
    std::fs::write(&cells, text).unwrap();
    let Err(crate::plan::CheckError::Refused(report)) = crate::plan::check(&cells, &board(), folder.path())
    else {
        panic!("there are no images");
    };
    let missing = Some(bulkhead::refusal::code::NO_FILE);
    let others: Vec<_> = report.mistakes.iter().filter(|mistake| mistake.code != missing).collect();
    assert!(others.is_empty(), "{others:?}\n{text}");
}

#[test]
fn flags_make_a_description_that_passes() {
    let root = "linux:kernel=linux/Image,initrd=i,bootargs=console=ttyAMA0,115200".parse().unwrap();
    let control = "control:cpus=cpu@3,memory=32M,device=serial1,image=control.elf".parse().unwrap();
    let text = new(&board(), Some(root), vec![control]).unwrap_or_else(|error| panic!("{error}"));
    passes(&text);
    for line in [
        "root;",
        "bootargs = \"console=ttyAMA0,115200\";",
        "cpus = \"cpu@3\";",
        "memory = \"32M\";",
        "devices = \"serial1\";",
        "unprotected-dma = \"accept\";",
        "No IOMMU stands before /soc/ethernet@a000000",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    assert_eq!(text.matches("unprotected-dma").count(), 1, "only who needs it says it\n{text}");
}

#[test]
fn enter_all_the_way_makes_the_demo() {
    let (text, asked) = answered(&"\n".repeat(20));
    let text = text.unwrap_or_else(|error| panic!("{error}\n{asked}"));
    passes(&text);
    assert!(text.contains("linux {") && text.contains("control {"), "{text}");
    assert!(text.contains("devices = \"serial1\"") && text.contains("image = \"control.elf\""), "{text}");
    assert!(asked.starts_with("This board has 4 CPUs, 1 GiB and "), "{asked}");
}

#[test]
fn wrong_answers_are_asked_again() {
    // No root cell; then a cell whose name, CPUs and device are wrong at first.
    let answers = "maybe\nno\n\nshared\nrt\n9\n2\n64M\nserail1\nserial1\nno\nrt.bin\nno\n";
    let (text, asked) = answered(answers);
    let text = text.unwrap_or_else(|error| panic!("{error}\n{asked}"));
    passes(&text);
    assert!(
        text.contains("rt {") && text.contains("cpus = <2>;") && text.contains("memory = \"64M\";"),
        "{text}"
    );
    for complaint in ["yes or no?", "mean something else", "a number from 1 to 4", "did you mean `serial1`?"]
    {
        assert!(asked.contains(complaint), "{asked}");
    }
}

#[test]
fn silence_is_no_answer() {
    let (text, _) = answered("");
    assert!(matches!(text, Err(NewError::NoAnswer)));
}

#[test]
fn what_does_not_fit_is_refused_with_its_number() {
    let large = "a:cpus=1,memory=64G,image=x".parse().unwrap();
    let error = new(&board(), None, vec![large]).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: ", bulkhead::refusal::code::TOO_LITTLE_MEMORY)), "{error}");
}

#[test]
fn wishes_are_read_or_refused() {
    let wish = |text: &str| text.parse::<CellWish>();
    assert_eq!(wish("a").map(|wish| wish.name), Ok("a".into()));
    assert_eq!(
        wish("a:cpus=cpu@1,cpus=cpu@2").map(|wish| wish.cpus),
        Ok(vec!["cpu@1".into(), "cpu@2".into()])
    );
    assert_eq!(wish(":cpus=1"), Err(WishError::Name));
    assert_eq!(wish("a@1"), Err(WishError::Name));
    assert_eq!(wish("a:cpu=1"), Err(WishError::Key("cpu".into())));
    assert_eq!(wish("a:cpus"), Err(WishError::NoValue("cpus".into())));
    assert_eq!(wish("a:image=x\"y"), Err(WishError::Value("x\"y".into())));
}
