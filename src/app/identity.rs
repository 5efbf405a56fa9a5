//! Who this process is: made at start, told in rows, votes and logs.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use crate::{clock, config::Config, domain::task::TaskId, store::Identity};

/// The file in the data directory that names it.
const JOURNAL_ID_FILE: &str = "journal_id";

/// The identity of this process start, beside the data directory that it uses.
///
/// # Errors
/// The data directory cannot be made, or its id not be read or written.
pub(super) fn establish(config: &Config, host_name: &str) -> io::Result<Identity> {
    create_private(&config.data_dir)?;
    Ok(Identity {
        namespace: config.namespace.clone(),
        service: config.service.clone(),
        version: config.version.clone(),
        instance: fresh(),
        journal_id: journal_id(&config.data_dir)?,
        display_name: host_name.to_owned(),
    })
}

fn create_private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// The id of the data directory: read, or made when it is new.
fn journal_id(directory: &Path) -> io::Result<String> {
    let path = directory.join(JOURNAL_ID_FILE);
    match fs::read_to_string(&path) {
        Ok(text) if TaskId::parse(text.trim()).is_some() => return Ok(text.trim().to_owned()),
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} holds no id", path.display()),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = fresh();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, id.as_bytes())?;
    Ok(id)
}

fn fresh() -> String {
    TaskId::mint(clock::wall_us(), fastrand::u128(..)).to_string()
}

#[cfg(test)]
mod tests {
    use super::{fresh, journal_id};
    use std::fs;

    #[test]
    fn a_data_directory_keeps_its_id() {
        let directory = std::env::temp_dir().join(format!("fusebox-id-{}", fresh()));
        fs::create_dir(&directory).unwrap();
        let first = journal_id(&directory).unwrap();
        assert_eq!(journal_id(&directory).unwrap(), first);
        fs::write(directory.join("journal_id"), "nonsense").unwrap();
        assert!(journal_id(&directory).is_err());
        fs::remove_dir_all(directory).unwrap();
    }
}
