//! The file of a Unix socket: who may open it, and what becomes of one that is there.

use crate::model::TaskAddress;
use crate::wire::testing::unix;
use crate::wire::{ListenError, Listener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[tokio::test]
async fn owner_and_group_may_open_it_and_it_goes_with_its_listener() {
    let folder = tempfile::tempdir().unwrap();
    let address = unix(&folder);
    let TaskAddress::Unix(path) = &address else { unreachable!() };
    let listener = Listener::bind(&address, None).await.unwrap();
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o660);
    let error = Listener::bind(&address, None).await.unwrap_err();
    assert!(matches!(error, ListenError::InUse { .. }), "{error:?}");
    assert!(Path::new(path).exists(), "a living one is respected");
    drop(listener);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_dead_one_is_replaced_and_a_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let address = unix(&folder);
    let TaskAddress::Unix(path) = &address else { unreachable!() };
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert!(Path::new(path).exists(), "what a killed process leaves");
    drop(Listener::bind(&address, None).await.unwrap());
    std::fs::write(path, "precious").unwrap();
    let error = Listener::bind(&address, None).await.unwrap_err();
    assert!(matches!(error, ListenError::Occupied { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "precious");
}

#[tokio::test]
async fn a_place_that_cannot_be_had_is_named() {
    let error = Listener::bind(&TaskAddress::Unix("/nonexistent/x.sock".to_owned()), None).await.unwrap_err();
    assert!(error.to_string().contains("unix:/nonexistent/x.sock"), "{error}");
}
