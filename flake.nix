{
  description = "Setpoint: GitOps for Docker hosts";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      manifest = (builtins.fromTOML (builtins.readFile ./Cargo.toml)).package;
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      # OpenSSL is built from the crate's own source, which takes perl and make; libgit2, libssh2, SQLite and zlib take
      # a C compiler. Nothing is linked from the system but the C library.
      tools = pkgs: [ pkgs.perl pkgs.gnumake ];
    in
    {
      packages = each (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = manifest.name;
          inherit (manifest) version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          nativeBuildInputs = tools pkgs ++ [ pkgs.installShellFiles ];
          # The other tests want git, a Docker engine and local servers, none of which the build sandbox has.
          cargoTestFlags = [ "--lib" ];
          postInstall = ''
            for shell in bash fish zsh; do
              installShellCompletion --cmd setpoint --$shell <($out/bin/setpoint completions $shell)
            done
          '';
          meta = {
            inherit (manifest) description;
            homepage = manifest.repository;
            license = pkgs.lib.licenses.asl20;
            mainProgram = manifest.name;
            platforms = systems;
          };
        };
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = tools pkgs ++ [ pkgs.cargo pkgs.rustc pkgs.clippy pkgs.rustfmt pkgs.git pkgs.docker-client ];
        };
      });

      formatter = each (pkgs: pkgs.nixpkgs-fmt);
    };
}
