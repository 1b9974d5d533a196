//! Where fixtures come from: files, folders and archives, read one file at a time.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

/// Archives hold no fixture near this size; a damaged one might claim anything.
const MAX_FIXTURE: u64 = 1 << 30;

/// One fixture file.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its path; in an archive, that of the archive, a colon, and the path inside.
    pub(crate) name: String,
    /// Its content.
    pub(crate) json: Vec<u8>,
}

/// A file or archive that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}")]
pub struct SourceError {
    /// The file.
    pub file: String,
    /// What is wrong with it, and where.
    pub message: String,
}

impl SourceError {
    pub(crate) fn new(file: impl Into<String>, message: impl ToString) -> Self {
        Self { file: file.into(), message: message.to_string() }
    }

    fn at(path: &Path, error: &io::Error) -> Self {
        Self::new(path.display().to_string(), error)
    }
}

/// The files and archives that `paths` name, folders searched, in a stable order, with their
/// sizes on disk.
pub(crate) fn find(paths: &[PathBuf]) -> (Vec<(PathBuf, u64)>, Vec<SourceError>) {
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        let before = files.len() + errors.len();
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => search(path, &mut Vec::new(), &mut files, &mut errors),
            Ok(meta) => files.push((path.clone(), meta.len())),
            Err(error) => errors.push(SourceError::at(path, &error)),
        }
        if files.len() + errors.len() == before {
            let message = "no fixtures in this folder: expected *.json or *.tar.zst";
            errors.push(SourceError::new(path.display().to_string(), message));
        }
    }
    (files, errors)
}

/// Searches a folder and those in it. `above` are the folders that it lies in, which a link in it
/// may lead back to.
fn search(
    folder: &Path,
    above: &mut Vec<PathBuf>,
    files: &mut Vec<(PathBuf, u64)>,
    errors: &mut Vec<SourceError>,
) {
    match fs::canonicalize(folder) {
        Ok(real) if above.contains(&real) => return,
        Ok(real) => above.push(real),
        Err(error) => return errors.push(SourceError::at(folder, &error)),
    }
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut paths: Vec<_> = match entries {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(error) => {
            above.pop();
            return errors.push(SourceError::at(folder, &error));
        }
    };
    paths.sort();
    for path in paths {
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => search(&path, above, files, errors),
            Ok(meta) if is_archive(&path) || is_json(&path) => files.push((path, meta.len())),
            Ok(_) => {}
            Err(error) => errors.push(SourceError::at(&path, &error)),
        }
    }
    above.pop();
}

fn is_archive(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".tar.zst"))
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// Hands every fixture file in a file or archive to `each`, and the errors in between. `read` is
/// told how many bytes of the file on disk have been consumed.
pub(crate) fn read(
    path: &Path,
    read: &dyn Fn(u64),
    mut each: impl FnMut(Result<Document, SourceError>),
) {
    let result = match is_archive(path) {
        true => read_archive(path, read, &mut each),
        false => read_file(path, read).map(|document| each(Ok(document))),
    };
    if let Err(error) = result {
        each(Err(error));
    }
}

fn read_file(path: &Path, read: &dyn Fn(u64)) -> Result<Document, SourceError> {
    let mut json = Vec::new();
    let file = File::open(path).map_err(|error| SourceError::at(path, &error))?;
    file.take(MAX_FIXTURE + 1)
        .read_to_end(&mut json)
        .map_err(|error| SourceError::at(path, &error))?;
    read(json.len() as u64);
    let name = path.display().to_string();
    match json.len() as u64 > MAX_FIXTURE {
        true => {
            Err(SourceError::new(name, format!("more than {MAX_FIXTURE} bytes are no fixture")))
        }
        false => Ok(Document { name, json }),
    }
}

fn read_archive(
    path: &Path,
    read: &dyn Fn(u64),
    each: &mut impl FnMut(Result<Document, SourceError>),
) -> Result<(), SourceError> {
    let broken = |last: &str, error: io::Error| {
        let place = if last.is_empty() { "at its start".into() } else { format!("after {last}") };
        SourceError::new(path.display().to_string(), format!("damaged archive, {place}: {error}"))
    };
    let file = File::open(path).map_err(|error| SourceError::at(path, &error))?;
    let counted = Counted { inner: BufReader::new(file), read };
    let decoder = zstd::Decoder::new(counted).map_err(|error| broken("", error))?;
    let mut archive = tar::Archive::new(decoder);
    let mut last = String::new();
    for entry in archive.entries().map_err(|error| broken("", error))? {
        let mut entry = entry.map_err(|error| broken(&last, error))?;
        let inside = entry.path().map_err(|error| broken(&last, error))?.into_owned();
        if !entry.header().entry_type().is_file() || !is_json(&inside) {
            continue;
        }
        let name = format!("{}:{}", path.display(), inside.display());
        if entry.size() > MAX_FIXTURE {
            let message = format!("{} bytes is no fixture", entry.size());
            each(Err(SourceError::new(name, message)));
            continue;
        }
        let mut json = Vec::with_capacity(entry.size() as usize);
        entry.read_to_end(&mut json).map_err(|error| broken(&last, error))?;
        last = inside.display().to_string();
        each(Ok(Document { name, json }));
    }
    // The end of a tar stream says nothing about the rest of the compressed one.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| broken(&last, error))?;
    Ok(())
}

/// Tells how much has been read.
struct Counted<'a, R> {
    inner: R,
    read: &'a dyn Fn(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        (self.read)(length as u64);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        zstd::encode_all(builder.into_inner().unwrap().as_slice(), 3).unwrap()
    }

    fn names(path: &Path) -> (Vec<String>, Vec<String>) {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        read(path, &|_| (), |result| match result {
            Ok(document) => good.push(document.name),
            Err(error) => bad.push(error.to_string()),
        });
        (good, bad)
    }

    #[test]
    fn archives_are_read_file_by_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.zst");
        fs::write(&path, archive(&[("x/1.json", "{}"), ("x/note.txt", ""), ("2.json", "[]")]))
            .unwrap();
        let (good, bad) = names(&path);
        let at = |inside: &str| format!("{}:{inside}", path.display());
        assert_eq!((good, bad), (vec![at("x/1.json"), at("2.json")], vec![]));
    }

    #[test]
    fn a_truncated_archive_gives_what_it_has_and_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.zst");
        let noise: String = (0..200_000u32)
            .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
            .collect();
        let bytes = archive(&[("1.json", "{}"), ("2.json", &noise), ("3.json", &noise)]);
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let (_, bad) = names(&path);
        assert_eq!(bad.len(), 1);
        assert!(bad[0].contains("a.tar.zst") && bad[0].contains("damaged archive"), "{bad:?}");
    }

    #[test]
    fn folders_are_searched_and_what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        for name in ["sub/b.json", "a.json", "c.txt"] {
            fs::write(dir.path().join(name), "{}").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), dir.path().join("sub/back")).unwrap();
        let empty = tempfile::tempdir().unwrap();
        let (files, errors) = find(&[dir.path().to_owned(), empty.path().to_owned()]);
        assert!(files.len() == 2 && errors.len() == 1, "{files:?} {errors:?}");
        assert!(errors[0].message.contains("no fixtures"), "{errors:?}");
        let (files, errors) = find(&[dir.path().to_owned(), dir.path().join("absent")]);
        let found: Vec<_> =
            files.iter().map(|(path, _)| path.strip_prefix(dir.path()).unwrap()).collect();
        assert_eq!(found, [Path::new("a.json"), Path::new("sub/b.json")]);
        assert!(errors.len() == 1 && errors[0].file.ends_with("absent"), "{errors:?}");
    }
}
