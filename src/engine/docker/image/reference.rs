//! Splits image references into the parts that the API needs.

/// The registry of references that name none.
pub(super) const DOCKER_HUB: &str = "docker.io";

/// Repository and tag; a digest stays with the repository, and an absent tag is `latest`.
pub(super) fn split(reference: &str) -> (&str, Option<&str>) {
    if reference.contains('@') {
        return (reference, None);
    }
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (reference, Some("latest")),
    }
}

/// The registry's host and port.
pub(super) fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => DOCKER_HUB,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(split("localhost:5000/shop/api"), ("localhost:5000/shop/api", Some("latest")));
        assert_eq!(split("localhost:5000/shop/api:1.5"), ("localhost:5000/shop/api", Some("1.5")));
        assert_eq!(split("redis"), ("redis", Some("latest")));
        assert_eq!(split("redis@sha256:00"), ("redis@sha256:00", None));
    }

    #[test]
    fn a_first_part_without_dot_or_port_is_no_registry() {
        assert_eq!(registry("shop/api:1"), DOCKER_HUB);
        assert_eq!(registry("redis"), DOCKER_HUB);
        assert_eq!(registry("localhost/api"), "localhost");
        assert_eq!(registry("registry.example.com/shop/api"), "registry.example.com");
        assert_eq!(registry("10.0.0.1:5000/api"), "10.0.0.1:5000");
    }
}
