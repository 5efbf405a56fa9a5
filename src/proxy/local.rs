//! Where hyper's tasks go: to the thread that they began on.

use hyper::rt::Executor;

/// Tasks of a connection to an upstream stay on their worker's thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local;

impl<F> Executor<F> for Local
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}
