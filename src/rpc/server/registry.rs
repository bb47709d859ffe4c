//! The methods of a server, by service and name.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::Call;
use crate::rpc::Error;

/// A registered method.
pub(super) struct Registered {
    /// Its place in the order in which methods were added.
    pub(super) index: u32,
    pub(super) service: Box<str>,
    pub(super) name: Box<str>,
    pub(super) handler: Handler,
}

pub(super) type Handler = Box<dyn Fn(Call) + Send + Sync>;

/// Methods by service and name. Methods are added, never taken away, so that what was found once
/// may be kept.
#[derive(Default)]
pub struct Registry {
    services: RwLock<HashMap<Box<str>, ByName>>,
    /// By their index. Locked within `services` alone.
    all: RwLock<Vec<Arc<Registered>>>,
}

pub(super) enum Lookup {
    Found(Arc<Registered>),
    NoService,
    NoMethod,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = self.all.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Registry").field("methods", &methods).finish()
    }
}

impl Registry {
    /// Adds a method. `handler` runs in a new coroutine for each call, on the worker of the call's
    /// connection; if it panics the call is answered with EINTERNAL and the message.
    ///
    /// # Errors
    /// When a name is empty, or the method is there already.
    pub fn add_method(
        &self,
        service: &str,
        method: &str,
        handler: impl Fn(Call) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.add(service, method, Box::new(handler))
    }

    fn add(&self, service: &str, name: &str, handler: Handler) -> Result<(), Error> {
        if service.is_empty() || name.is_empty() {
            return Err(Error::request("a service and a method need a name"));
        }
        let mut services = self.services.write().unwrap_or_else(PoisonError::into_inner);
        let methods = services.entry(service.into()).or_default();
        if methods.contains_key(name) {
            return Err(Error::request(format!("{service}.{name} is registered already")));
        }
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let index = all.len() as u32;
        let (service, full) = (service.into(), name.into());
        let method = Arc::new(Registered { index, service, name: full, handler });
        all.push(method.clone());
        methods.insert(name.into(), method);
        Ok(())
    }

    /// The method of an index that it has given.
    pub(super) fn at(&self, index: u32) -> Arc<Registered> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)[index as usize].clone()
    }

    pub(super) fn find(&self, service: &str, name: &str) -> Lookup {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        match services.get(service).or_else(|| without_package(&services, service)) {
            None => Lookup::NoService,
            Some(methods) => match methods.get(name) {
                None => Lookup::NoMethod,
                Some(method) => Lookup::Found(method.clone()),
            },
        }
    }
}

/// The service that is called by its name alone, as some clients do (jprotobuf; brpc by an option)
/// and brpc's servers understand. A name that two services have is nobody's.
#[cold]
fn without_package<'a>(services: &'a HashMap<Box<str>, ByName>, name: &str) -> Option<&'a ByName> {
    if name.contains('.') {
        return None;
    }
    let is_it = |full: &str| full.rsplit_once('.').is_some_and(|(_, short)| short == name);
    let mut found = services.iter().filter(|(full, _)| is_it(full));
    let (_, methods) = found.next()?;
    found.next().is_none().then_some(methods)
}

/// The methods of one service, by name.
type ByName = HashMap<Box<str>, Arc<Registered>>;
