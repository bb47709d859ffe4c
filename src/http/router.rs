//! Routes: which handler serves a method and a path.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use percent_encoding::percent_decode_str;

use super::handler::Handler;
use super::{Method, Request, Responder, Response};

/// Handlers by method and path. Routes may be added at any time, by any thread.
///
/// ```
/// use fastrpc::http::Router;
///
/// # fn main() -> Result<(), fastrpc::http::RouteError> {
/// let router = Router::new();
/// router
///     .route("GET", "/hello/:name", |request| format!("hello {}", request.param("name").unwrap()))?
///     .route("GET", "/files/*path", |_| "a file")?;
/// # Ok(())
/// # }
/// ```
///
/// A path is matched as it came, percent-encoded. In a pattern `:name` stands for one segment and
/// `*name`, at the end, for all that is left; [`Request::param`] gives what they stood for,
/// decoded. A path without a variable comes before one with. GET answers HEAD as well.
///
/// ```
/// use fastrpc::http::{Response, Router, StatusCode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new();
/// router.route("GET", "/hello/:name", |request| {
///     format!("hello, {}", request.param("name").unwrap_or("you"))
/// })?;
/// router.route("DELETE", "/items/:id", |_| StatusCode::NO_CONTENT)?;
/// router.fallback(|request, responder| {
///     let text = format!("there is no {}", request.path());
///     responder.send(Response::text(text).with_status(StatusCode::NOT_FOUND));
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Router {
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    paths: matchit::Router<usize>,
    indices: HashMap<String, usize>,
    entries: Vec<Vec<(Method, Arc<Handler>)>>,
    fallback: Option<Arc<Handler>>,
}

/// What a router has for a request.
pub(super) enum Found {
    Handler(Arc<Handler>, Vec<(String, String)>),
    /// Only for these methods.
    OtherMethods(String),
    Nothing,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}

impl Router {
    /// A router without routes.
    pub fn new() -> Router {
        Router::default()
    }

    /// Adds a route. `handler` runs in a coroutine, on the worker of the request's connection; if
    /// it panics the answer is 500.
    ///
    /// # Errors
    /// When the route is there already, a method is no token, a pattern does not begin with a `/`,
    /// or it cannot be told apart from another.
    pub fn route<R: Into<Response>>(
        &self,
        method: &str,
        path: &str,
        handler: impl Fn(Request) -> R + Send + Sync + 'static,
    ) -> Result<&Router, RouteError> {
        self.add(method, path, Handler::Now(Box::new(move |request| handler(request).into())))
    }

    /// Adds a route whose handler answers by the [`Responder`], which may be after it has returned
    /// and from anywhere.
    ///
    /// # Errors
    /// As for [`route`](Router::route).
    pub fn route_deferred(
        &self,
        method: &str,
        path: &str,
        handler: impl Fn(Request, Responder) + Send + Sync + 'static,
    ) -> Result<&Router, RouteError> {
        self.add(method, path, Handler::Later(Box::new(handler)))
    }

    /// Sets the handler of the requests whose path no route matches, whatever their method. Without
    /// one they are answered with 404. A path that has routes of other methods is 405 in any case.
    ///
    /// # Errors
    /// When there is one already.
    pub fn fallback(
        &self,
        handler: impl Fn(Request, Responder) + Send + Sync + 'static,
    ) -> Result<&Router, RouteError> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if table.fallback.is_some() {
            let text = "there is a fallback already".to_owned();
            return Err(RouteError { text, is_conflict: true });
        }
        table.fallback = Some(Arc::new(Handler::Later(Box::new(handler))));
        Ok(self)
    }

    /// Whether it answers everything with 404.
    pub fn is_empty(&self) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.entries.is_empty() && table.fallback.is_none()
    }

    fn add(&self, method: &str, path: &str, handler: Handler) -> Result<&Router, RouteError> {
        let error = |why: &dyn fmt::Display, is_conflict| RouteError {
            text: format!("{method} {path}: {why}"),
            is_conflict,
        };
        let name = self::method(method).map_err(|e| error(&e, false))?;
        let pattern = pattern(path).map_err(|e| error(&e, false))?;
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let index = match table.indices.get(&pattern) {
            Some(&index) => index,
            None => {
                let index = table.entries.len();
                table
                    .paths
                    .insert(pattern.clone(), index)
                    .map_err(|e| error(&e, matches!(e, matchit::InsertError::Conflict { .. })))?;
                table.indices.insert(pattern, index);
                table.entries.push(Vec::new());
                index
            }
        };
        let entry = &mut table.entries[index];
        if entry.iter().any(|(method, _)| *method == name) {
            return Err(error(&"the route is there already", true));
        }
        entry.push((name, Arc::new(handler)));
        Ok(self)
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let Ok(found) = table.paths.at(path) else {
            let fallback = table.fallback.clone();
            return fallback.map_or(Found::Nothing, |handler| Found::Handler(handler, Vec::new()));
        };
        let entry = &table.entries[*found.value];
        let of = |method: &Method| entry.iter().find(|(m, _)| m == method);
        let handler = match of(method) {
            None if method == Method::HEAD => of(&Method::GET),
            handler => handler,
        };
        match handler {
            Some((_, handler)) => {
                let params = found.params.iter();
                let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
                let params = params.map(|(key, value)| (key.to_owned(), decode(value))).collect();
                Found::Handler(handler.clone(), params)
            }
            None => {
                let methods: Vec<&str> = entry.iter().map(|(method, _)| method.as_str()).collect();
                Found::OtherMethods(methods.join(", "))
            }
        }
    }
}

/// The method of a route. Methods are case-sensitive, and those that are known are upper case.
fn method(name: &str) -> Result<Method, Cow<'static, str>> {
    let upper = name.to_ascii_uppercase();
    if upper != name && KNOWN_METHODS.contains(&&*upper) {
        return Err(format!("write the method as \"{upper}\"").into());
    }
    Method::from_bytes(name.as_bytes()).map_err(|_| "the method is not a token".into())
}

const KNOWN_METHODS: [&str; 9] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// The pattern as matchit writes it: braces around names.
fn pattern(path: &str) -> Result<String, Cow<'static, str>> {
    let rest = path.strip_prefix('/').ok_or("a path begins with '/'")?;
    let mut pattern = String::new();
    for segment in rest.split('/') {
        pattern.push('/');
        match (segment.strip_prefix(':'), segment.strip_prefix('*')) {
            (Some(name), _) => pattern.push_str(&format!("{{{}}}", variable(name)?)),
            (_, Some(name)) => pattern.push_str(&format!("{{*{}}}", variable(name)?)),
            _ if segment.contains(['{', '}', '<', '>']) => return Err(foreign(segment).into()),
            _ => pattern.push_str(segment),
        }
    }
    Ok(pattern)
}

/// What to write instead of a variable in the syntax of other routers: `{id}`, `{*rest}`, `<id>`.
/// Such characters come percent-encoded in a path, and so can match nothing else.
fn foreign(segment: &str) -> String {
    let inner = segment.trim_matches(['{', '}', '<', '>']);
    let name: String =
        inner.trim_start_matches(['*', ':']).chars().take_while(|&c| is_word(c)).collect();
    let name = if name.is_empty() { "name" } else { &name };
    let is_rest = inner.contains(['*', '.']) || inner.contains("path:");
    let variable = if is_rest { format!("*{name}") } else { format!(":{name}") };
    format!("write a variable as '{variable}', not '{segment}'")
}

fn variable(name: &str) -> Result<&str, &'static str> {
    if name.is_empty() || !name.chars().all(is_word) {
        return Err("a variable is named by letters, digits and '_'");
    }
    Ok(name)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Why a route could not be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    text: String,
    is_conflict: bool,
}

impl RouteError {
    /// There is such a route, or one that cannot be told apart from it.
    pub fn is_conflict(&self) -> bool {
        self.is_conflict
    }
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for RouteError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[(&str, &str)]) -> Router {
        let router = Router::new();
        for (method, path) in routes {
            let text = format!("{method} {path}");
            router.route(method, path, move |_| text.clone()).unwrap();
        }
        router
    }

    fn find(router: &Router, method: &str, path: &str) -> Option<Vec<(String, String)>> {
        match router.find(&Method::from_bytes(method.as_bytes()).unwrap(), path) {
            Found::Handler(_, params) => Some(params),
            _ => None,
        }
    }

    #[test]
    fn variables_are_found_and_decoded() {
        let router = router(&[
            ("GET", "/"),
            ("GET", "/users/:id"),
            ("GET", "/users/me"),
            ("GET", "/files/*path"),
        ]);
        let param = |path: &str| {
            find(&router, "GET", path).map(|p| p.into_iter().map(|p| p.1).collect::<Vec<_>>())
        };
        assert_eq!(param("/").unwrap(), [""; 0]);
        assert_eq!(param("/users/7").unwrap(), ["7"]);
        assert_eq!(param("/users/a%2Fb%20c").unwrap(), ["a/b c"]);
        assert_eq!(param("/users/me").unwrap(), [""; 0]);
        assert_eq!(param("/files/a/b").unwrap(), ["a/b"]);
        for path in ["/users", "/users/", "/users/1/2", "/files", "*", "/x"] {
            assert_eq!(param(path), None, "{path}");
        }
    }

    #[test]
    fn methods_are_told_apart() {
        let router = router(&[("GET", "/a"), ("POST", "/a"), ("POST", "/b")]);
        assert!(find(&router, "HEAD", "/a").is_some());
        assert!(find(&router, "HEAD", "/b").is_none());
        match router.find(&Method::PUT, "/a") {
            Found::OtherMethods(methods) => assert_eq!(methods, "GET, POST"),
            _ => panic!("PUT has no route"),
        }
        router.fallback(|_, _| {}).unwrap();
        assert!(router.fallback(|_, _| {}).is_err());
        assert!(find(&router, "PUT", "/a").is_none(), "a method that is not allowed stays so");
        assert!(find(&router, "PUT", "/z").is_some());
    }

    #[test]
    fn bad_routes_are_refused() {
        let router = router(&[("GET", "/a/:b")]);
        for (method, path) in [
            ("GET", "/a/:b"),
            ("POST", "/a/:c"),
            ("G T", "/x"),
            ("GET", "x"),
            ("GET", "/:"),
            ("GET", "/:a-b"),
            ("GET", "/*a/b"),
        ] {
            let added = router.route(method, path, |_| "");
            assert!(added.is_err(), "{method} {path}");
        }
    }

    #[test]
    fn the_syntax_of_other_routers_is_refused_with_ours() {
        for (method, path, advice) in [
            ("get", "/a", "get /a: write the method as \"GET\""),
            ("GET", "/a/{id}", "GET /a/{id}: write a variable as ':id', not '{id}'"),
            ("GET", "/{*rest}", "GET /{*rest}: write a variable as '*rest', not '{*rest}'"),
            ("GET", "/{rest...}", "GET /{rest...}: write a variable as '*rest', not '{rest...}'"),
            ("GET", "/<id>", "GET /<id>: write a variable as ':id', not '<id>'"),
            ("GET", "/{}", "GET /{}: write a variable as ':name', not '{}'"),
        ] {
            let error = Router::new().route(method, path, |_| "").map(drop).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.is_conflict()), (advice, false));
        }
        // Methods of one's own are whatever one says.
        Router::new().route("purge", "/a", |_| "").unwrap();
    }
}
