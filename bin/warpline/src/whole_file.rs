//! Files that appear when they are complete, in place of what had their name until then.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};
use tempfile::TempPath;

/// Links that are followed, as many as Linux does.
const LINKS: usize = 40;

/// A file with a name of its own beside the one that it will have, until it is complete. What is no
/// file, a pipe for instance, and what this process has open already, is written to directly.
#[derive(Debug)]
pub(crate) struct WholeFile {
    writer: BufWriter<File>,
    partial: Option<TempPath>,
    path: PathBuf,
}

impl WholeFile {
    /// Begins to write what `path` will name, behind any links.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let (file, partial, path) = if is_open_or_no_file(path)? {
            (OpenOptions::new().append(true).open(path)?, None, path.to_owned())
        } else {
            let path = behind_links(path)?;
            let (file, partial) = begin(&path)?;
            (file, Some(partial), path)
        };
        Ok(Self { writer: BufWriter::with_capacity(1 << 20, file), partial, path })
    }

    /// Brings the content to the disk and gives the file its name.
    pub(crate) fn finish(self) -> io::Result<()> {
        let file = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        let Some(partial) = self.partial else { return Ok(()) };
        file.sync_all()?;
        partial.persist(&self.path).map_err(|error| error.error)
    }
}

/// Whether a path leads to something else than a file, or through `/dev` and `/proc`, as
/// `/dev/stdout` does, to a file that somebody is writing to.
pub(crate) fn is_open_or_no_file(path: &Path) -> io::Result<bool> {
    let Ok(found) = fs::metadata(path) else { return Ok(false) };
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let within = fs::canonicalize(folder(&path))?;
        if within.starts_with("/proc") || within.starts_with("/dev/fd") {
            return Ok(true);
        }
        match fs::read_link(&path) {
            Ok(target) => path = within.join(target),
            Err(_) => break,
        }
    }
    Ok(!found.is_file())
}

/// A new file beside `path`, for whoever may use the one that is there.
fn begin(path: &Path) -> io::Result<(File, TempPath)> {
    let mut partial = tempfile::Builder::new();
    partial.prefix(".warpline-").permissions(Permissions::from_mode(0o666));
    let former = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        former => Some(former?.metadata()?),
    };
    let partial = partial.tempfile_in(folder(path))?;
    if let Some(former) = former {
        // Only root may give a file away; who cannot keeps it.
        let _not_root = fchown(partial.as_file(), Some(former.uid()), Some(former.gid()));
        partial.as_file().set_permissions(former.permissions())?;
    }
    Ok(partial.into_parts())
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Where a path leads, whether anything is there or not.
pub(crate) fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = folder(&path).join(target),
            Err(_) => {
                let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
                return Ok(fs::canonicalize(folder(&path))?.join(name));
            }
        }
    }
    Err(io::Error::other("too many links"))
}

/// The folder that something is in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Read,
        os::{fd::AsRawFd, unix::fs::symlink},
    };

    fn write(path: &Path, text: &str) -> io::Result<()> {
        let mut file = WholeFile::create(path)?;
        file.write_all(text.as_bytes())?;
        file.finish()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_was_there_stays_until_the_new_file_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, "old").unwrap();
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        write(&path, "new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn links_are_followed_and_permissions_stay() {
        let dir = tempfile::tempdir().unwrap();
        let [target, link, second] = ["target", "link", "second"].map(|name| dir.path().join(name));
        symlink("target", &link).unwrap();
        symlink(&link, &second).unwrap();
        write(&second, "new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        fs::set_permissions(&target, Permissions::from_mode(0o640)).unwrap();
        write(&link, "again").unwrap();
        assert_eq!((fs::read(&target).unwrap(), mode(&target)), (b"again".to_vec(), 0o640));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        symlink("circle", dir.path().join("circle")).unwrap();
        assert!(write(&dir.path().join("circle"), "").is_err());
    }

    #[test]
    fn what_is_open_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"first, ").unwrap();
        let descriptor = PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd()));
        write(&descriptor, "second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first, second");
        let (mut reader, writer) = io::pipe().unwrap();
        let pipe = PathBuf::from(format!("/proc/self/fd/{}", writer.as_raw_fd()));
        write(&pipe, "through").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn a_device_stays_a_device() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("null");
        symlink("/dev/null", &link).unwrap();
        write(&link, "gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        symlink("/dev/full", dir.path().join("full")).unwrap();
        assert!(write(&dir.path().join("full"), "nowhere").is_err());
    }
}
