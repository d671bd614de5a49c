//! What CPUs share, in every order that they may take their steps in: each model is run once for each.

use std::sync::Arc as Shared;
use std::sync::Mutex as Plain;

use bulkhead::cell::{Affinity, Ended, Life, Power, Start, Then};
use bulkhead::console::{Console, Ports};
use bulkhead::cpu::{CpuSet, PcpuId};
use bulkhead::inbox::{Inbox, Request};
use bulkhead::ports::Serial;
use bulkhead::psci::PsciError;
use bulkhead::sync::{AtomicU32, AtomicU64, Mutex, Ordering};
use loom::sync::Arc;
use loom::thread;

/// Runs a model. A step of one CPU may be broken off for another so many times; bugs that need more are not known.
fn model(interruptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(interruptions);
    builder.check(run);
}

/// Of racing CPU_ONs one wins, and its arguments arrive whole.
#[test]
fn cpu_on_is_won_by_one_and_its_arguments_arrive_whole() {
    model(3, || {
        let power = Arc::new(Power::default());
        let callers: Vec<_> = (1..3)
            .map(|n| {
                let power = Arc::clone(&power);
                thread::spawn(move || power.request(Start { entry: n, context: n << 32 }))
            })
            .collect();
        let early = power.take();
        let answers: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        let late = power.take();
        let start = early.or(late).expect("somebody won");
        assert!(early.is_none() || late.is_none(), "started twice");
        assert!((1..3).contains(&start.entry) && start.context == start.entry << 32, "{start:?}");
        assert_eq!(power.affinity_info(), Affinity::On);
    });
}

/// A vCPU that is switched off while another switches it on: the call works or says that it is still on, and what it asks for
/// is not lost.
#[test]
fn cpu_off_and_cpu_on_of_the_same_vcpu() {
    model(3, || {
        let power = Arc::new(Power::default());
        power.start();
        let own = {
            let power = Arc::clone(&power);
            thread::spawn(move || {
                power.off();
                power.take()
            })
        };
        let answer = power.request(Start { entry: 4, context: 5 });
        let taken = own.join().unwrap().or_else(|| power.take());
        match answer {
            Ok(()) => assert_eq!(taken, Some(Start { entry: 4, context: 5 })),
            Err(error) => assert_eq!((error, taken), (PsciError::AlreadyOn, None)),
        }
    });
}

/// What was stored before a request was posted is seen by whoever takes the request, and no request is lost.
#[test]
fn an_inbox_brings_what_was_stored_before() {
    model(3, || {
        let shared = Arc::new((Inbox::default(), [AtomicU64::new(0), AtomicU64::new(0)]));
        let requests = [Request::Stop, Request::Sgi];
        let posters: Vec<_> = (0..2)
            .map(|n| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.1[n].store(7, Ordering::Relaxed);
                    let _ = shared.0.post(PcpuId(0), requests[n]);
                })
            })
            .collect();
        let mut seen = [0; 2];
        let mut look = || {
            if shared.0.is_empty() {
                return;
            }
            let taken = shared.0.take();
            for (n, request) in requests.into_iter().enumerate().filter(|(_, request)| taken.has(*request)) {
                assert_eq!(
                    shared.1[n].load(Ordering::Relaxed),
                    7,
                    "{request:?} came before what it is about"
                );
                seen[n] += 1;
            }
        };
        look();
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        look();
        assert_eq!(seen, [1, 1]);
    });
}

/// The CPUs of a life that ends say so in any order, while others want it ended too: it ends once, as the first one wanted.
#[test]
fn a_life_ends_once() {
    model(3, || {
        let cpus = CpuSet(0b11);
        let life = Arc::new(Mutex::new(Life::Starting { first: true, at: 0 }));
        let ends = Arc::new(AtomicU32::new(0));
        assert!(life.lock().started());
        let others: Vec<_> = [Then::Off, Then::Restart { at: 0 }]
            .into_iter()
            .enumerate()
            .map(|(n, then)| {
                let (life, ends) = (Arc::clone(&life), Arc::clone(&ends));
                thread::spawn(move || {
                    let first = life.lock().stop(then, cpus).is_some();
                    let ended = life.lock().quiet(PcpuId(n as u8));
                    if ended != Ended::No {
                        life.lock().end();
                        ends.fetch_add(1, Ordering::Relaxed);
                    }
                    first
                })
            })
            .collect();
        let first: Vec<bool> = others.into_iter().map(|other| other.join().unwrap()).collect();
        assert_eq!(first.iter().filter(|first| **first).count(), 1);
        // Who was quiet before anybody wanted the end says so again when it is asked.
        for cpu in [0, 1] {
            if life.lock().awaits(PcpuId(cpu)) && life.lock().quiet(PcpuId(cpu)) != Ended::No {
                life.lock().end();
                ends.fetch_add(1, Ordering::Relaxed);
            }
        }
        assert_eq!(ends.load(Ordering::Relaxed), 1);
        assert_eq!(*life.lock() == Life::Off, first[0]);
    });
}

/// A UART that takes everything.
struct Uart(Shared<Plain<Vec<u8>>>);

impl Serial for Uart {
    fn put(&mut self, bytes: &[u8]) -> usize {
        self.0.lock().unwrap().extend(bytes);
        bytes.len()
    }

    fn take(&mut self, _: &mut [u8]) -> usize {
        0
    }

    fn call_for_more(&mut self, _: bool) {}
}

/// Two CPUs print a line each: both lines are printed whole, by one or the other, and none waits for somebody who has gone.
#[test]
fn no_line_is_left_in_the_console() {
    model(2, || {
        let printed = Shared::new(Plain::new(Vec::new()));
        let console = Arc::new(Console::new(Box::new(Uart(Shared::clone(&printed))), Ports::new(0).unwrap()));
        let other = {
            let console = Arc::clone(&console);
            thread::spawn(move || console.say(format_args!("first")))
        };
        console.say(format_args!("second"));
        other.join().unwrap();
        let text = String::from_utf8(printed.lock().unwrap().clone()).unwrap();
        assert_eq!(
            (text.matches(" first\r\n").count(), text.matches(" second\r\n").count()),
            (1, 1),
            "{text:?}"
        );
    });
}
