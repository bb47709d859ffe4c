use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Call, Error};

/// A registered method.
pub(super) struct Method {
    pub(super) service: Box<str>,
    pub(super) name: Box<str>,
    pub(super) handler: Handler,
}

pub(super) type Handler = Box<dyn Fn(Call) + Send + Sync>;

/// Methods by service and name. Methods are added, never taken away, so that what was found once
/// may be kept.
#[derive(Default)]
pub(super) struct Methods {
    services: RwLock<HashMap<Box<str>, ByName>>,
}

pub(super) enum Lookup {
    Found(Arc<Method>),
    NoService,
    NoMethod,
}

impl Methods {
    pub(super) fn add(&self, service: &str, name: &str, handler: Handler) -> Result<(), Error> {
        if service.is_empty() || name.is_empty() {
            return Err(Error::request("a service and a method need a name"));
        }
        let mut services = self.services.write().unwrap_or_else(PoisonError::into_inner);
        let methods = services.entry(service.into()).or_default();
        if methods.contains_key(name) {
            return Err(Error::request(format!("{service}.{name} is registered already")));
        }
        let method = Method { service: service.into(), name: name.into(), handler };
        methods.insert(name.into(), Arc::new(method));
        Ok(())
    }

    pub(super) fn find(&self, service: &str, name: &str) -> Lookup {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        match services.get(service) {
            None => Lookup::NoService,
            Some(methods) => match methods.get(name) {
                None => Lookup::NoMethod,
                Some(method) => Lookup::Found(method.clone()),
            },
        }
    }
}

/// The methods of one service, by name.
type ByName = HashMap<Box<str>, Arc<Method>>;
