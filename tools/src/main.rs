//! `bulkhead`: the tools of the Bulkhead partitioning hypervisor.

use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use bulkhead_cli::arguments::{Arguments, Command, Figures, MachineArguments, OnBoard, images};
use bulkhead_cli::plan::{self, CheckError, Fit};
use bulkhead_cli::qemu::{self, Boot, Disk, Machine, Scratch};
use bulkhead_cli::{bench, demo, explain, initramfs, new, pack, report, run, zephyr};
use clap::{CommandFactory, Parser};
use miette::{Context, IntoDiagnostic, Result};

const ERROR: Style = AnsiColor::BrightRed.on_default().bold();

/// Refused.
const REFUSED: u8 = 1;
/// Wrong usage, or something outside that does not work.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    match command(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            if let Some(CheckError::Refused(report)) = error.downcast_ref() {
                anstream::eprint!("{}", report.render());
                return ExitCode::from(REFUSED);
            }
            let refused = matches!(error.downcast_ref(), Some(new::NewError::Refused(_)));
            let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
            anstream::eprintln!("{ERROR}error{ERROR:#}: {}", causes.join(": "));
            if let Some(help) = error.help() {
                anstream::eprintln!("  help: {help}");
            }
            ExitCode::from(if refused { REFUSED } else { FAILED })
        }
    }
}

fn command(command: Command) -> Result<ExitCode> {
    match command {
        Command::Check(on_board) => {
            let fit = check(&on_board)?;
            let count = fit.plan.cells.len();
            let plural = if count == 1 { "cell" } else { "cells" };
            anstream::println!("{}: {count} {plural}, no mistakes", on_board.cells.display());
        }
        Command::Plan { on_board, json, svg } => {
            let fit = check(&on_board)?;
            if let Some(file) = &svg {
                write(file, fit.svg().into_diagnostic()?.as_bytes())?;
            }
            match (json, svg) {
                (true, _) => print!("{}", fit.json().into_diagnostic()?),
                (false, None) => anstream::print!("{}", fit.table().into_diagnostic()?),
                (false, Some(_)) => {}
            }
        }
        Command::Explain { code: None } => anstream::print!("{}", explain::list(explain::PAGES)),
        Command::Explain { code: Some(code) } => match explain::find(explain::PAGES, &code) {
            Ok(page) => anstream::print!("{}", explain::show(&page)),
            Err(nearest) => {
                return Err(miette::miette!(
                    help = "`bulkhead explain` alone lists all",
                    "there is no refusal {code}; the nearest is {nearest}"
                ));
            }
        },
        Command::New { board, root, cells, output } => {
            let text = new::new(&board.board()?, root, cells)?;
            match output {
                Some(file) => write(&file, text.as_bytes())?,
                None => print!("{text}"),
            }
        }
        Command::Pack { cells, output, dir, board, tree, image } => {
            plan::description(&cells)?;
            let archive = pack::pack(&cells, &images(&cells, dir.as_deref()))?;
            match board.zip(tree) {
                Some((board, tree)) => {
                    let parts = pack::boot::Parts { image: &image, tree: &tree, archive: &archive };
                    pack::boot::write(board, &output, parts)?;
                }
                None => write(&output, &archive)?,
            }
        }
        Command::Run { archive, image, check: true, machine, .. } => {
            match demo::check(&machine.machine(), image, archive, &|step| println!("check: {step}")) {
                Ok(line) => println!("{line}"),
                Err(error) => {
                    println!("check: failed: {error}");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        Command::Run { archive, image, dir, machine, disk, check: false } => {
            return run_live(
                &archive,
                &image,
                dir.as_deref(),
                &machine,
                disk.map_or(Disk::Scratch, Disk::File),
            );
        }
        Command::Board { output, machine } => {
            write(&output, &qemu::board_tree(&machine.machine()).into_diagnostic()?)?;
        }
        Command::ZephyrOverlay { cell, on_board } => {
            let fit = check(&on_board)?;
            print!("{}", zephyr::overlay(&fit, &cell)?);
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "bulkhead", &mut std::io::stdout());
        }
        Command::Initramfs { kernel, busybox, output } => {
            let kernel = initramfs::Kernel::unpacked_at(&kernel)?;
            write(&output.join("initrd.cpio"), &initramfs::build(&kernel, &busybox.join("bin/busybox"))?)?;
            write(&output.join("Image"), &read(&kernel.image)?)?;
        }
        Command::Bench { what, target, json, svg, baseline, profile, cpu, vhe } => {
            let subject = bench::Subject {
                image: target.join("bulkhead.bin"),
                elf: target.join("aarch64-unknown-none-softfloat/release/bulkhead-image"),
                demo: target.join("demo.cells"),
                images: target.join("images"),
                xen: target.join("debian/xen/boot/xen-4.17-arm64"),
                cpu,
                vhe,
            };
            match (what, profile) {
                (Figures::Size, _) => bench::size(&subject),
                (Figures::Linux, _) => bench::linux(&subject),
                (Figures::Scale, _) => bench::scale(&subject),
                (Figures::Traps, Some(case)) => bench::profile(&subject, &case),
                (Figures::Traps, None) => bench::traps(&subject, &bench::Show { json, svg, baseline }),
            }
            .into_diagnostic()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks, and prints what its owners should know.
fn check(on_board: &OnBoard) -> Result<Fit> {
    let fit = plan::check(&on_board.cells, &on_board.board()?, &on_board.images())?;
    for warning in fit.warnings() {
        anstream::eprint!("{}", report::warning(&warning));
    }
    Ok(fit)
}

/// Boots with a person in front of it.
fn run_live(
    what: &Path,
    image: &Path,
    dir: Option<&Path>,
    wanted: &MachineArguments,
    disk: Disk,
) -> Result<ExitCode> {
    let folder = Scratch::new().into_diagnostic()?;
    let mut archive = what.to_path_buf();
    if what.extension().is_some_and(|ext| ext == "dts") {
        plan::description(what)?;
        archive = folder.path().join("cells");
        write(&archive, &pack::pack(what, &images(what, dir))?)?;
    }
    let config = run::description(&read(&archive)?)
        .into_diagnostic()
        .wrap_err_with(|| format!("{} is no archive that `bulkhead pack` wrote", archive.display()))?;
    let machine = Machine { disk, ..run::machine(config.as_ref(), wanted) };
    let second = run::serial_name(config.as_ref(), "serial1");
    // The hypervisor's absence would be QEMU's last words, and hard to understand.
    read(image)?;
    println!(
        "QEMU's virt machine, {} CPUs, {} of memory. The terminal is the first serial line; the second one's lines begin \
         with [{second}]. Ctrl-a x ends QEMU.",
        machine.smp, machine.memory
    );
    let boot = Boot::new(image, archive);
    let status = qemu::live(&machine, &boot, &[&second]).into_diagnostic()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).into_diagnostic().wrap_err_with(|| format!("{} cannot be read", path.display()))
}

/// Writes a file whole or not at all, its folder made where it is missing.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("part");
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&partial, bytes))
        .and_then(|()| std::fs::rename(&partial, path))
        .into_diagnostic()
        .wrap_err_with(|| format!("{} cannot be written", path.display()))
}
