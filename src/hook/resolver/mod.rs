//! Hooked lookups of hosts: libc does them, on threads of their own. A lookup may read files, ask
//! servers and load modules of nsswitch.conf(5), and its inner calls pass the hooks by.

mod addrinfo;
mod hostent;
mod threads;
