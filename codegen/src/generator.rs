//! Generates the code of one service. It goes into the module of the service's package, beside its
//! messages, which may have any name: hence all paths are absolute.

use prost_build::{Comments, Method, Service, ServiceGenerator};

use crate::names::{self, Names};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Generator {
    pub(crate) server: bool,
    pub(crate) client: bool,
}

impl ServiceGenerator for Generator {
    fn generate(&mut self, service: Service, buf: &mut String) {
        let names = names::of_methods(service.methods.iter().map(|method| method.name.as_str()));
        let code = Code { service: &service, methods: &service.methods, names: &names };
        if self.server {
            code.push_trait(buf);
            code.push_server(buf);
        }
        if self.client {
            code.push_client(buf);
        }
        if self.server || self.client {
            buf.push_str("const _: () = {\n");
            code.push_methods(buf);
            if self.server {
                code.push_server_methods(buf);
            }
            if self.client {
                code.push_client_methods(buf);
            }
            buf.push_str("};\n");
        }
    }
}

struct Code<'a> {
    service: &'a Service,
    methods: &'a [Method],
    names: &'a [Names],
}

impl Code<'_> {
    fn push_trait(&self, buf: &mut String) {
        let Service { name, comments, .. } = self.service;
        let wire = self.wire_name();
        push_docs(comments, buf);
        let note = format!("Implement it to serve `{wire}`, and hand it to [`{name}Server`].");
        let gap = if is_empty(comments) { "" } else { "///\n" };
        buf.push_str(&format!("{gap}/// {note}\n{ALLOW}"));
        if self.service.options.deprecated() {
            buf.push_str("#[deprecated]\n");
        }
        buf.push_str(&format!(
            "pub trait {name}: ::core::marker::Send + ::core::marker::Sync + 'static {{\n"
        ));
        for (method, names) in self.each() {
            push_method_docs(method, buf);
            buf.push_str(&format!(
                "fn {}(&self, request: {}, call: &::fastrpc::rpc::Call)
                 -> ::core::result::Result<
                     ::fastrpc::rpc::Response<{}>, ::fastrpc::rpc::Error>;\n",
                names.plain, method.input_type, method.output_type
            ));
        }
        buf.push_str("}\n");
    }

    fn push_server(&self, buf: &mut String) {
        let name = &self.service.name;
        let wire = self.wire_name();
        buf.push_str(&format!(
            "/// Serves `{wire}` by an implementation of [`{name}`]:
             /// `server.add_service({name}Server::new(implementation))`.
             {ALLOW}
             pub struct {name}Server<S> {{
                 service: ::std::sync::Arc<S>,
             }}\n"
        ));
    }

    fn push_client(&self, buf: &mut String) {
        let name = &self.service.name;
        let wire = self.wire_name();
        buf.push_str(&format!(
            "/// Calls `{wire}` by a client, which it owns or borrows.
             {ALLOW}
             #[derive(Clone, Debug)]
             pub struct {name}Client<C> {{
                 client: C,
             }}\n"
        ));
    }

    /// Generates what servers and clients share: names on the wire, and the encoding of messages.
    fn push_methods(&self, buf: &mut String) {
        if self.methods.is_empty() {
            return;
        }
        let codec = self.free("Protobuf");
        buf.push_str(&format!(
            "struct {codec};
             impl<M: ::prost::Message + ::core::default::Default> ::fastrpc::rpc::Codec<M>
                 for {codec}
             {{
                 fn encode(message: &M) -> ::std::vec::Vec<u8> {{
                     ::prost::Message::encode_to_vec(message)
                 }}
                 fn decode(
                     bytes: &[u8],
                 ) -> ::core::result::Result<M, ::std::string::String> {{
                     <M as ::prost::Message>::decode(bytes)
                         .map_err(|error| ::std::string::ToString::to_string(&error))
                 }}
             }}\n"
        ));
        let service = self.wire_name();
        for (method, names) in self.each() {
            buf.push_str(&format!(
                "const {}: ::fastrpc::rpc::Method<{}, {}, {codec}> =
                 ::fastrpc::rpc::Method::new({service:?}, {:?}, {:?}, {:?});\n",
                names.constant,
                method.input_type,
                method.output_type,
                method.proto_name,
                method.input_proto_type.trim_start_matches('.'),
                method.output_proto_type.trim_start_matches('.'),
            ));
        }
    }

    fn push_server_methods(&self, buf: &mut String) {
        let name = &self.service.name;
        let s = self.free("S");
        buf.push_str(&format!(
            "{ALLOW}
             impl<{s}: {name}> {name}Server<{s}> {{
                 /// Creates a server that runs the methods of `service`, which all calls share.
                 pub fn new(service: {s}) -> Self {{
                     Self::from_arc(::std::sync::Arc::new(service))
                 }}
                 /// Creates a server of a service that the program holds as well.
                 pub fn from_arc(service: ::std::sync::Arc<{s}>) -> Self {{
                     Self {{ service }}
                 }}
             }}
             {ALLOW}
             impl<{s}: {name}> ::fastrpc::rpc::Service for {name}Server<{s}> {{
                 fn add_to(
                     self,
                     registry: &::fastrpc::rpc::Registry,
                 ) -> ::core::result::Result<(), ::fastrpc::rpc::Error> {{\n"
        ));
        for (_, names) in self.each() {
            buf.push_str(&format!(
                "let service = ::std::sync::Arc::clone(&self.service);
                 {}.serve(registry, move |request, call| {{
                     <{s} as {name}>::{}(&service, request, call)
                 }})?;\n",
                names.constant, names.plain
            ));
        }
        buf.push_str("::core::result::Result::Ok(())\n}\n}\n");
    }

    fn push_client_methods(&self, buf: &mut String) {
        let name = &self.service.name;
        let c = self.free("C");
        let client = "::core::borrow::Borrow::borrow(&self.client)";
        buf.push_str(&format!(
            "{ALLOW}
             impl<{c}: ::core::borrow::Borrow<::fastrpc::rpc::Client>> {name}Client<{c}> {{
                 /// Creates a client that makes its calls through `client`.
                 pub fn new(client: {c}) -> Self {{
                     Self {{ client }}
                 }}\n"
        ));
        for (method, names) in self.each() {
            let Method { input_type, output_type, .. } = method;
            let Names { plain, with_callback, constant } = names;
            let outcome = format!(
                "::core::result::Result<
                 ::fastrpc::rpc::Response<{output_type}>, ::fastrpc::rpc::Error>"
            );
            push_method_docs(method, buf);
            buf.push_str(&format!(
                "pub fn {plain}(
                     &self,
                     request: &{input_type},
                     options: &::fastrpc::rpc::CallOptions<'_>,
                 ) -> {outcome} {{
                     {constant}.call({client}, request, options)
                 }}\n"
            ));
            push_method_docs(method, buf);
            buf.push_str(&format!(
                "///
                 /// Returns at once; `done` runs in a coroutine with the outcome.
                 pub fn {with_callback}(
                     &self,
                     request: &{input_type},
                     options: &::fastrpc::rpc::CallOptions<'_>,
                     done: impl ::core::ops::FnOnce({outcome})
                         + ::core::marker::Send + 'static,
                 ) -> ::fastrpc::rpc::CallHandle {{
                     {constant}.call_async({client}, request, options, done)
                 }}\n"
            ));
        }
        buf.push_str("}\n");
    }

    fn each(&self) -> impl Iterator<Item = (&Method, &Names)> {
        self.methods.iter().zip(self.names)
    }

    /// Returns a type name that shadows none that the service uses.
    fn free(&self, name: &str) -> String {
        let mut name = name.to_owned();
        let uses = |name: &str| {
            self.service.name == name
                || self.methods.iter().any(|m| m.input_type == name || m.output_type == name)
        };
        while uses(&name) {
            name.push('_');
        }
        name
    }

    /// Returns the service's name on the wire.
    fn wire_name(&self) -> String {
        let Service { package, proto_name, .. } = self.service;
        if package.is_empty() { proto_name.clone() } else { format!("{package}.{proto_name}") }
    }
}

fn push_method_docs(method: &Method, buf: &mut String) {
    push_docs(&method.comments, buf);
    if is_empty(&method.comments) {
        buf.push_str(&format!("/// The method `{}`.\n", method.proto_name));
    }
    if method.options.deprecated() {
        buf.push_str("#[deprecated]\n");
    }
}

/// Writes doc comments. Detached comments are not part of the documentation.
fn push_docs(comments: &Comments, buf: &mut String) {
    let attached = Comments { leading_detached: Vec::new(), ..comments.clone() };
    attached.append_with_indent(0, buf);
}

fn is_empty(comments: &Comments) -> bool {
    comments.leading.is_empty() && comments.trailing.is_empty()
}

/// The program may use one side only, and names and comments come from the `.proto` file.
const ALLOW: &str =
    "#[allow(dead_code, deprecated, unused_variables, clippy::all, clippy::pedantic)]\n";
