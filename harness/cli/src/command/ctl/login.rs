//! Who logs in to PostgreSQL for `query`, and how: options, then libpq's variables, then its defaults, as for patronictl, whose
//! connections are libpq's (its documentation, "Environment Variables" and "The Password File").

use std::{collections::BTreeMap, env, fs, os::unix::fs::MetadataExt, path::PathBuf};

use pgdrill_agent::{
    config::{HostPort, User},
    postgres::{NO_PASSWORD, Sql},
};
use pgdrill_file::WRITTEN_BY_HAND;
use pgdrill_net::TokioNet;
use tokio_postgres::{Client, Config};

use super::{Stop, ask, usage};

/// User, database and password of a session, and whether it is encrypted.
pub(super) struct Login {
    user: String,
    dbname: String,
    /// Given, asked for, or of the environment; else the password file is looked into.
    password: Option<String>,
    /// `sslmode` and its like.
    ssl: BTreeMap<String, String>,
}

/// libpq's variables for TLS, and the parameters that they stand for.
const SSL: [(&str, &str); 6] = [
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
];

impl Login {
    /// By the command line and the environment; asks for a password where that is wanted.
    pub fn of(username: Option<&str>, dbname: Option<&str>, ask_password: bool) -> Result<Self, Stop> {
        let var = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let user = username.map(str::to_owned).or_else(|| var("PGUSER")).or_else(name_of_the_process);
        let user = user.ok_or_else(|| usage("which user? Give -U or PGUSER: this process's user has no name"))?;
        let password = if ask_password { Some(ask::password()?) } else { var("PGPASSWORD") };
        let mut ssl: BTreeMap<String, String> =
            SSL.iter().filter_map(|(name, parameter)| Some(((*parameter).to_owned(), var(name)?))).collect();
        ssl.entry("sslmode".to_owned()).or_insert_with(|| "prefer".to_owned());
        Ok(Self {
            dbname: dbname.map(str::to_owned).or_else(|| var("PGDATABASE")).unwrap_or_else(|| user.clone()),
            user,
            password,
            ssl,
        })
    }

    /// Connects.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn connect(&self, host: &str, port: u16) -> Result<Client, String> {
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.dbname).application_name("pgdrill ctl");
        let password = match &self.password {
            Some(password) => Some(password.clone()),
            None => self.in_password_file(host, port)?,
        };
        if let Some(password) = &password {
            config.password(password);
        }
        let server = Sql::new(TokioNet, HostPort::new(host, port), User::named(&self.user)).with_options(&self.ssl);
        server.connect_as(&config).await.map_err(|error| {
            if password.is_none() && error.to_string().contains(NO_PASSWORD) {
                let Self { user, dbname, .. } = self;
                return format!(
                    "fe_sendauth: no password supplied\n  {user} needs one: give --password, PGPASSWORD, or a line \
                     {host}:{port}:{dbname}:{user}:PASSWORD in {}",
                    password_file().display()
                );
            }
            error.to_string()
        })
    }

    /// What the password file says of this server.
    fn in_password_file(&self, host: &str, port: u16) -> Result<Option<String>, String> {
        let file = password_file();
        let Ok(about) = fs::metadata(&file) else { return Ok(None) };
        if !about.is_file() {
            return Err(format!("password file \"{}\" is not a plain file", file.display()));
        }
        if about.mode() & 0o077 != 0 {
            let (file, mode) = (file.display(), about.mode() & 0o777);
            anstream::eprintln!(
                "WARNING: password file \"{file}\" has group or world access ({mode:o}) and is not used; its permissions \
                 should be u=rw (0600) or less"
            );
            return Ok(None);
        }
        let text = pgdrill_file::text(&file, WRITTEN_BY_HAND);
        let text = text.map_err(|why| format!("password file \"{}\": {why}", file.display()))?;
        Ok(find(&text, [host, &port.to_string(), &self.dbname, &self.user]))
    }
}

fn name_of_the_process() -> Option<String> {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.name)
}

fn password_file() -> PathBuf {
    let named = env::var_os("PGPASSFILE").filter(|file| !file.is_empty()).map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".pgpass"))
}

/// The password of the first line whose four fields are these, or `*`.
fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|fields| {
        let (password, fields) = fields.split_last()?;
        let is = |(field, wanted): (&String, &str)| field == "*" || field == wanted;
        (fields.len() == 4 && fields.iter().zip(wanted).all(is)).then(|| password.clone())
    })
}

/// `host:port:database:user:password`; a backslash takes its meaning from a colon or a backslash behind it.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let last = fields.len() - 1;
        match character {
            ':' if last < 4 => fields.push(String::new()),
            '\\' => fields[last].extend(characters.next()),
            other => fields[last].push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_password_file_that_fits_counts() {
        let text = "# a comment:5432:*:*:no\n\
                    other:5432:*:*:no\n\
                    pg1:5432:app:postgres:a\\:b\\\\c\n\
                    pg1:*:*:postgres:second:with:colons\n\
                    ::too:few\n";
        let of = |host, port, dbname, user| find(text, [host, port, dbname, user]);
        assert_eq!(of("pg1", "5432", "app", "postgres").as_deref(), Some("a:b\\c"));
        assert_eq!(of("pg1", "5433", "app", "postgres").as_deref(), Some("second:with:colons"));
        assert_eq!(of("pg1", "5433", "app", "other"), None);
        assert_eq!(of("other", "5432", "x", "y").as_deref(), Some("no"));
    }
}
