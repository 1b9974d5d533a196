//! The configuration file: flags of a command under their own names, in TOML. What is given on the
//! command line as well is taken from there.

use crate::output;
use clap::{Arg, ArgAction, ArgMatches, Command, builder::ValueParser, parser::ValueSource};
use eyre::{Result, WrapErr};
use std::{
    ffi::OsString,
    fmt::Display,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};

/// The name of the flag that names the file, and of its place in the matches.
pub(crate) const FLAG: &str = "config";

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: {what}", path.display())]
struct ConfigError {
    path: PathBuf,
    line: usize,
    what: String,
}

/// One setting: a key as it would be the name of a flag, and its values.
struct Setting<'t> {
    key: String,
    at: Range<usize>,
    value: DeValue<'t>,
}

/// Completes the arguments of a command, which its parent has understood as `matches`, by those in
/// the file that `--config` names. None if it names none.
///
/// # Errors
/// The file cannot be read, is no TOML, or holds what the command does not know or take.
pub(crate) fn complete(
    parent: &Command,
    matches: &ArgMatches,
    given: &[OsString],
) -> Result<Option<Vec<OsString>>> {
    let Some((name, matches)) = matches.subcommand() else { return Ok(None) };
    let Some(command) = parent.find_subcommand(name) else { return Ok(None) };
    if !command.get_arguments().any(|arg| arg.get_id() == FLAG) {
        return Ok(None);
    }
    let Some(path) = matches.get_one::<PathBuf>(FLAG) else { return Ok(None) };
    let text = fs::read_to_string(path).wrap_err_with(|| format!("--config {}", path.display()))?;
    // Nothing but the program itself comes before the command.
    let place = given.iter().skip(1).position(|word| word == name);
    let Some(place) = place else { return Ok(None) };
    let (before, after) = given.split_at(place + 2);
    let mut all = before.to_vec();
    all.extend(arguments(command, matches, path, &text)?);
    all.extend_from_slice(after);
    Ok(Some(all))
}

/// The settings of a file as arguments, those left out that the command line overrides.
fn arguments(
    command: &Command,
    matches: &ArgMatches,
    path: &Path,
    text: &str,
) -> Result<Vec<OsString>, ConfigError> {
    let fault = |at: usize, what: String| {
        let line = text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
        ConfigError { path: path.to_owned(), line, what }
    };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        fault(at, format!("no TOML: {}", error.message()))
    })?;
    let mut settings = Vec::new();
    flatten("", table.into_inner(), &mut settings);
    settings.sort_by_key(|setting| setting.at.start);
    let given =
        |arg: &Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let mut seen: Vec<(&str, String)> = Vec::new();
    let mut words = Vec::new();
    for Setting { key, at, value } in settings {
        let fault = |what: &dyn Display| fault(at.start, format!("`{key}`: {what}"));
        let arg = find(command, &key).ok_or_else(|| fault(&"there is no such setting"))?;
        if arg.get_id() == FLAG {
            return Err(fault(&"a file cannot name another one"));
        }
        let id = arg.get_id().as_str();
        if let Some((_, other)) = seen.iter().find(|(seen, _)| *seen == id) {
            return Err(fault(&format!("the same as `{other}`")));
        }
        seen.push((id, key.clone()));
        let setting = words_of(arg, &value).map_err(|what| fault(&what))?;
        check(command, &setting).map_err(|what| fault(&what))?;
        let overridden = given(arg) || opponents(command, arg).any(given);
        if !overridden {
            words.extend(setting);
        }
    }
    Ok(words)
}

/// Tables and dotted keys become names with dots.
fn flatten<'t>(prefix: &str, table: DeTable<'t>, settings: &mut Vec<Setting<'t>>) {
    for (key, value) in table {
        let at = key.span();
        let key = format!("{prefix}{}", key.into_inner());
        match value.into_inner() {
            DeValue::Table(table) => flatten(&format!("{key}."), table, settings),
            value => settings.push(Setting { key, at, value }),
        }
    }
}

/// The flag with a name.
fn find<'c>(command: &'c Command, name: &str) -> Option<&'c Arg> {
    let named = |arg: &&Arg| {
        let aliases = arg.get_all_aliases().unwrap_or_default();
        arg.get_long() == Some(name) || aliases.contains(&name)
    };
    let told = |arg: &&Arg| !matches!(arg.get_action(), ArgAction::Help | ArgAction::Version);
    command.get_arguments().filter(told).find(named)
}

/// Flags that a flag cannot be used with, whichever of the two says so.
fn opponents<'c>(command: &'c Command, arg: &'c Arg) -> impl Iterator<Item = &'c Arg> {
    let others = command.get_arguments().filter(move |other| {
        command.get_arg_conflicts_with(other).iter().any(|it| it.get_id() == arg.get_id())
    });
    command.get_arg_conflicts_with(arg).into_iter().chain(others)
}

/// A setting as words of the command line.
fn words_of(arg: &Arg, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    let long = arg.get_long().unwrap_or_default();
    let bare = || vec![format!("--{long}").into()];
    let with = |value: String| OsString::from(format!("--{long}={value}"));
    let takes_bool = arg.get_value_parser().type_id() == ValueParser::bool().type_id();
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    match value {
        DeValue::Boolean(true) if is_switch => Ok(bare()),
        DeValue::Boolean(false) if is_switch => Ok(Vec::new()),
        _ if is_switch => Err(format!("true or false, not {}", named(value))),
        // What the flag means without a value.
        DeValue::Boolean(on) if !takes_bool && arg.get_num_args().is_some_and(may_be_none) => {
            Ok(if *on { bare() } else { Vec::new() })
        }
        DeValue::Array(values) if matches!(arg.get_action(), ArgAction::Append) => {
            if values.is_empty() {
                return Err("an empty list".to_owned());
            }
            values.iter().map(|value| plain(value.get_ref()).map(with)).collect()
        }
        DeValue::Array(_) => Err("one value, not a list".to_owned()),
        value => plain(value).map(|value| vec![with(value)]),
    }
}

fn may_be_none(range: clap::builder::ValueRange) -> bool {
    range.min_values() == 0
}

/// A value as it is written on the command line.
fn plain(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Integer(number) => u128::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|error| error.to_string()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        other => Err(format!("a text, a number, true or false, not {}", named(other))),
    }
}

fn named(value: &DeValue<'_>) -> String {
    match value.type_str() {
        "array" => "a list".to_owned(),
        other => format!("a value of type {other}"),
    }
}

/// Has the command read a setting by itself, so that what is wrong with it can be said of it.
fn check(command: &Command, words: &[OsString]) -> Result<(), String> {
    let words = std::iter::once(OsString::from(command.get_name())).chain(words.iter().cloned());
    let read = command.clone().try_get_matches_from(words);
    read.map(drop).map_err(|error| {
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default();
        first.strip_prefix("error: ").unwrap_or(first).to_owned()
    })
}

/// The file that cannot be used, as a wrong use of the command.
pub(crate) fn refuse(parent: &mut Command, error: &eyre::Report) -> ! {
    parent.error(clap::error::ErrorKind::InvalidValue, output::explained(error)).exit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// The words that a file adds to `warpline node` with these arguments, or the error.
    fn node(text: &str, given: &[&str]) -> Result<Vec<String>, String> {
        let mut parent = crate::Cli::command();
        parent.build();
        let all = ["warpline", "node"].iter().chain(given);
        let matches = parent.clone().try_get_matches_from(all).unwrap();
        let matches = matches.subcommand_matches("node").unwrap();
        let command = parent.find_subcommand("node").unwrap();
        let words = arguments(command, matches, Path::new("w.toml"), text);
        let words = words.map_err(|error| error.to_string())?;
        parent
            .clone()
            .try_get_matches_from(
                ["warpline", "node"].iter().map(OsString::from).chain(words.iter().cloned()),
            )
            .unwrap();
        Ok(words.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn keys_are_the_names_of_flags_in_every_form_that_toml_has() {
        let text = r#"
            dev = true
            "dev.accounts" = 3
            no-mining = false
            threads = 0x2
            block-time = 0.5
            metrics = true
            rpc.gascap = 1_000_000
            [http]
            api = ["eth", "net"]
            port = 0
            [txpool]
            locals = ["0x0000000000000000000000000000000000000001"]
        "#;
        let expected = [
            "--dev",
            "--dev.accounts=3",
            "--threads=2",
            "--block-time=0.5",
            "--metrics",
            "--rpc.gascap=1000000",
            "--http.api=eth",
            "--http.api=net",
            "--http.port=0",
            "--txpool.locals=0x0000000000000000000000000000000000000001",
        ];
        assert_eq!(node(text, &[]).unwrap(), expected);
        assert_eq!(
            node("http = false\n\"http.port\" = 7", &[]).unwrap(),
            ["--http=false", "--http.port=7"]
        );
        assert_eq!(node("metrics = \":7\"", &[]).unwrap(), ["--metrics=:7"]);
        assert_eq!(node("metrics = false", &[]).unwrap(), [""; 0]);
        assert_eq!(node("accounts = 3", &[]).unwrap(), ["--dev.accounts=3"], "an alias");
    }

    #[test]
    fn the_example_in_the_manual_can_be_used() {
        let manual = include_str!("../README.md");
        let (_, section) = manual.split_once("### Configuration file").unwrap();
        let (_, example) = section.split_once("```toml\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        assert_eq!(node(example, &[]).unwrap().len(), 10);
    }

    #[test]
    fn the_command_line_has_precedence() {
        let text = "dev = true\nthreads = 1\nhttp.api = [\"eth\"]\nno-mining = true";
        assert_eq!(
            node(text, &["--threads", "2", "--http.api", "net"]).unwrap(),
            ["--dev", "--no-mining"]
        );
        let what_cannot_be_with_it = node(text, &["--dev.period", "1"]).unwrap();
        assert_eq!(what_cannot_be_with_it, ["--dev", "--threads=1", "--http.api=eth"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, error) in [
            ("dev = true\nhttp.prot = 1", "w.toml:2: `http.prot`: there is no such setting"),
            ("\n\n[htpt]\nport = 1", "w.toml:4: `htpt.port`: there is no such setting"),
            ("help = true", "w.toml:1: `help`: there is no such setting"),
            ("config = \"x\"", "w.toml:1: `config`: a file cannot name another one"),
            ("dev = 1", "w.toml:1: `dev`: true or false, not a value of type integer"),
            ("threads = [1]", "w.toml:1: `threads`: one value, not a list"),
            ("threads = 2020-01-01", "w.toml:1: `threads`: a text, a number, true or false"),
            ("http.api = []", "w.toml:1: `http.api`: an empty list"),
            ("dev.accounts = 1\naccounts = 1", "w.toml:2: `accounts`: the same as `dev.accounts`"),
            ("dev = true\n\nhttp.port = \"x\"", "w.toml:3: `http.port`: invalid value 'x'"),
            ("http.port = 70000", "w.toml:1: `http.port`: invalid value '70000'"),
            ("http.addr = true", "w.toml:1: `http.addr`: invalid value 'true'"),
            ("dev = true\ndev = true", "w.toml:2: no TOML: duplicate key"),
            ("http = true\nhttp.port = 1", "w.toml:2: no TOML: "),
            ("dev", "w.toml:1: no TOML: "),
        ] {
            let found = node(text, &[]).unwrap_err();
            assert!(found.starts_with(error), "{text:?}: {found}");
        }
    }
}
