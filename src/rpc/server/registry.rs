//! The methods of a server, by service and name.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Call;
use crate::rpc::Error;

/// A registered method.
pub(super) struct Registered {
    pub(super) service: Box<str>,
    pub(super) name: Box<str>,
    pub(super) handler: Handler,
}

pub(super) type Handler = Box<dyn Fn(Call) + Send + Sync>;

/// Registry by service and name. Registry are added, never taken away, so that what was found once
/// may be kept.
#[derive(Default)]
pub(super) struct Registry {
    services: RwLock<HashMap<Box<str>, ByName>>,
}

pub(super) enum Lookup {
    Found(Arc<Registered>),
    NoService,
    NoMethod,
}

impl Registry {
    pub(super) fn add(&self, service: &str, name: &str, handler: Handler) -> Result<(), Error> {
        if service.is_empty() || name.is_empty() {
            return Err(Error::request("a service and a method need a name"));
        }
        let mut services = self.services.write().unwrap_or_else(PoisonError::into_inner);
        let methods = services.entry(service.into()).or_default();
        if methods.contains_key(name) {
            return Err(Error::request(format!("{service}.{name} is registered already")));
        }
        let method = Registered { service: service.into(), name: name.into(), handler };
        methods.insert(name.into(), Arc::new(method));
        Ok(())
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
