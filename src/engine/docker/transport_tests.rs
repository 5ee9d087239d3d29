//! How calls fare on connections that break.

use super::*;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// An engine whose first answers are lost or say 500; says how often it was asked.
async fn asked(method: Method, broken: usize) -> (usize, Option<u16>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let engine = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            let before = count.fetch_add(1, Ordering::Relaxed) as usize;
            let status = if before < broken { "500 No" } else { "200 OK" };
            if before > 0 || broken == 0 {
                let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    };
    let mut request = BollardRequest::new(bollard::body_full(Default::default()));
    *request.method_mut() = method;
    *request.uri_mut() = hyperlocal::Uri::new(&path, "/info").into();
    let client = Client::builder(TokioExecutor::new()).build(hyperlocal::UnixConnector);
    let answer = tokio::select! {
        answer = patient(client, request) => answer.ok().map(|answer| answer.status().as_u16()),
        () = engine => None,
    };
    (count.load(Ordering::Relaxed) as usize, answer)
}

#[tokio::test]
async fn what_only_reads_is_asked_again_and_what_changes_is_not() {
    assert_eq!(asked(Method::GET, 0).await, (1, Some(200)));
    assert_eq!(asked(Method::GET, 2).await, (3, Some(200)));
    assert_eq!(asked(Method::GET, 9).await, (3, Some(500)));
    assert_eq!(asked(Method::POST, 1).await, (1, None));
}

/// A connection that was closed after its first answer, which is noticed only when something is written on it.
struct Closed {
    stream: TokioIo<UnixStream>,
    answered: bool,
}

impl Connection for Closed {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Closed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.answered {
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.answered = read.is_ready();
        read
    }
}

impl hyper::rt::Write for Closed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        if self.answered {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Connects to the engine with a connection of this kind.
#[derive(Clone)]
struct ToClosed(std::path::PathBuf);

impl Service<Uri> for ToClosed {
    type Response = Closed;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Closed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { Ok(Closed { stream: TokioIo::new(UnixStream::connect(path).await?), answered: false }) })
    }
}

#[tokio::test]
async fn what_was_written_on_a_closed_connection_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let mut count = 0;
    let engine = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            count += 1;
            stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    };
    let client = Client::builder(TokioExecutor::new()).build(ToClosed(path));
    let calls = async {
        for _ in 0..3 {
            let mut request = BollardRequest::new(bollard::body_full("{}".into()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = Uri::from_static("http://engine/containers/create");
            assert_eq!(patient(client.clone(), request).await.unwrap().status(), 201);
        }
    };
    tokio::select! {
        () = calls => {}
        () = engine => unreachable!("it goes on"),
    }
    assert_eq!(count, 3, "each reached the engine once");
}

/// How an engine answers whose socket comes back after so many milliseconds.
async fn restarted(known: bool, away: u64) -> Result<Response<Incoming>, Cause> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let engine = async {
        tokio::time::sleep(Duration::from_millis(away)).await;
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    };
    let spoken = Arc::new(Spoken::default());
    if known {
        spoken.set(Version { major: 1, minor: 41 });
    }
    let client = Client::builder(TokioExecutor::new()).build(Reconnecting { inner: hyperlocal::UnixConnector, spoken });
    let mut request = BollardRequest::new(bollard::body_full(Default::default()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = hyperlocal::Uri::new(&path, "/containers/a/start").into();
    tokio::select! {
        answer = patient(client, request) => answer,
        () = engine => unreachable!("it goes on"),
    }
}

#[tokio::test]
async fn an_engine_that_is_restarted_is_waited_for_also_by_what_changes_something() {
    assert_eq!(restarted(true, 300).await.unwrap().status(), 200);
    let error = restarted(false, 300).await.unwrap_err();
    assert!(error.to_string().contains("No such file"), "one that was never there is not waited for: {error}");
}

#[test]
fn the_version_in_a_path_is_the_one_that_was_agreed_on() {
    let spoken = |path: &str, version: Option<&str>| {
        let uri: Uri = format!("http://h{path}").parse().unwrap();
        versioned(&uri, version.and_then(Version::parse))
            .map_or_else(|| path.to_owned(), |uri| uri.path_and_query().unwrap().to_string())
    };
    assert_eq!(spoken("/containers/json?all=true", Some("1.41")), "/v1.41/containers/json?all=true");
    assert_eq!(spoken("/info", None), "/info");
    assert_eq!(spoken("/version", Some("1.41")), "/version");
    assert!(Version::parse("1.9") < Version::parse("1.41"));
}
