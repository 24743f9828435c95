//! The user whom the program serves as when root has started it (setuid(2)).
//! There is no way back: that is tried out before anybody is served.

use std::fmt;

use nix::errno::Errno;
use nix::unistd::{
    Gid, Group, Uid, User as Entry, getgroups, getresgid, getresuid, setgid, setgroups, setuid,
};

/// A user and a group, neither of which is root's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    user: Uid,
    group: Gid,
}

/// Why the program does not serve as the user.
#[derive(Debug)]
pub(crate) enum UserError {
    /// Nobody has this name.
    NoUser(String),
    NoGroup(String),
    /// A number that nobody has says nothing of a group.
    GroupMissing(String),
    /// It is root, who is to be given up.
    Root(String),
    /// Another user than root has started the program.
    NotRoot,
    /// A call of the system failed.
    Refused(&'static str, Errno),
    /// What was given up can be taken back.
    WayBack,
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot serve as another user: ")?;
        match self {
            Self::NoUser(name) => write!(f, "there is no user {name}"),
            Self::NoGroup(name) => write!(f, "there is no group {name}"),
            Self::GroupMissing(name) => {
                write!(f, "no user has the number {name}: write {name}:GROUP")
            }
            Self::Root(name) => write!(f, "{name} is root, whose rights are to be given up"),
            Self::NotRoot => f.write_str("only root can (start it as root, or leave out --user)"),
            Self::Refused(call, errno) => write!(f, "{call}: {}", errno.desc()),
            Self::WayBack => f.write_str("the rights of root could be taken back"),
        }
    }
}

impl User {
    /// The user of `NAME` or `NAME:GROUP`, each a name or a number; without a group, the user's own.
    ///
    /// # Errors
    /// There is none, or it is root.
    pub(crate) fn find(text: &str) -> Result<Self, UserError> {
        let (name, group) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)));
        let refused = |errno| UserError::Refused("getpwnam", errno);
        let number = name.parse::<u32>().ok().map(Uid::from_raw);
        let entry = match number {
            Some(number) => Entry::from_uid(number),
            None => Entry::from_name(name),
        };
        let entry = entry.map_err(refused)?;
        let user = number.or_else(|| entry.as_ref().map(|entry| entry.uid));
        let user = user.ok_or_else(|| UserError::NoUser(name.to_owned()))?;
        let group = match (group, entry) {
            (Some(group), _) => find_group(group)?,
            (None, Some(entry)) => entry.gid,
            (None, None) => return Err(UserError::GroupMissing(name.to_owned())),
        };
        if user.is_root() {
            return Err(UserError::Root(name.to_owned()));
        }
        Ok(Self { user, group })
    }

    /// Becomes the user in every thread, for good: first its groups, of which it keeps one, then the
    /// user, after whom nothing more could be given up.
    ///
    /// # Errors
    /// Another one than root asks, or the system does not let go of something.
    pub(crate) fn replace_root(&self) -> Result<(), UserError> {
        if self.is_in_effect() {
            return Ok(());
        }
        if !Uid::effective().is_root() {
            return Err(UserError::NotRoot);
        }
        let refused = |call| move |errno| UserError::Refused(call, errno);
        setgroups(&[self.group]).map_err(refused("setgroups"))?;
        setgid(self.group).map_err(refused("setgid"))?;
        setuid(self.user).map_err(refused("setuid"))?;
        let has_way_back = setuid(Uid::from_raw(0)).is_ok()
            || setgroups(&[]).is_ok()
            || (self.group.as_raw() != 0 && setgid(Gid::from_raw(0)).is_ok());
        let is_done = self.is_in_effect() && getgroups() == Ok(vec![self.group]);
        if has_way_back || !is_done { Err(UserError::WayBack) } else { Ok(()) }
    }

    fn is_in_effect(&self) -> bool {
        let users = getresuid().map(|own| [own.real, own.effective, own.saved]);
        let groups = getresgid().map(|own| [own.real, own.effective, own.saved]);
        users == Ok([self.user; 3]) && groups == Ok([self.group; 3])
    }
}

fn find_group(name: &str) -> Result<Gid, UserError> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = Group::from_name(name).map_err(|e| UserError::Refused("getgrnam", e))?;
    found.map(|group| group.gid).ok_or_else(|| UserError::NoGroup(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_or_numbers() {
        let ids = |text: &str| User::find(text).map(|own| (own.user.as_raw(), own.group.as_raw()));
        assert_eq!(ids("54321:12345").unwrap(), (54321, 12345));
        let root = User::find("nobody:root").unwrap();
        assert_eq!(root.group.as_raw(), 0);
        for (text, words) in [
            ("root", "root is root"),
            ("0:12345", "0 is root"),
            ("no-such-user", "there is no user no-such-user"),
            ("nobody:no-such-group", "there is no group no-such-group"),
            ("54321", "no user has the number 54321: write 54321:GROUP"),
            ("", "there is no user "),
        ] {
            let error = ids(text).unwrap_err().to_string();
            assert!(error.ends_with(words) || error.contains(words), "{error}");
        }
    }
}
