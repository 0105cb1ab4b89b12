/** Images of containers made here, without a registry: of a folder, of busybox, of Debian packages with all they need. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { writeImage } from "../../tools/image/image.ts";
import { cacheFolder } from "./binaries.ts";

/** An archive that `ctr images import` takes, and the name by which pods ask for it. */
export interface Image {
  name: string;
  archive: string;
}

const folder = (): string => {
  const path = join(cacheFolder, "images");
  mkdirSync(path, { recursive: true });
  return path;
};

/** Makes an image of one layer, once for each key: `fill` puts files into the folder that becomes its root. */
function image(name: string, key: string, command: string[], fill: (root: string) => void): Image {
  const archive = join(folder(), `${key}.tar`);
  if (existsSync(archive)) return { name, archive };
  const work = mkdtempSync(join(folder(), ".make-"));
  try {
    const root = join(work, "root");
    mkdirSync(root);
    fill(root);
    const content = join(work, "content");
    mkdirSync(content);
    const owned = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
    execFileSync("tar", [...owned, "-C", root, "-cf", join(content, "layer.tar"), "."]);
    const layer = createHash("sha256")
      .update(readFileSync(join(content, "layer.tar")))
      .digest("hex");
    const config = JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      created: "1970-01-01T00:00:00Z",
      config: { Cmd: command, Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] },
      rootfs: { type: "layers", diff_ids: [`sha256:${layer}`] },
      history: [{ created_by: "test/kube/images.ts" }],
    });
    const configName = `${createHash("sha256").update(config).digest("hex")}.json`;
    writeFileSync(join(content, configName), config);
    writeFileSync(
      join(content, "manifest.json"),
      JSON.stringify([{ Config: configName, RepoTags: [name], Layers: ["layer.tar"] }]),
    );
    execFileSync("tar", ["-C", content, "-cf", join(work, "archive"), ...readdirSync(content)]);
    renameSync(join(work, "archive"), archive);
    return { name, archive };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const busyboxProgram = "/bin/busybox";

/** Why there are no images, or false. */
export const withoutBusybox = (): string | false =>
  existsSync(busyboxProgram) ? false : "busybox-static is not installed";

function writeUsers(root: string): void {
  mkdirSync(join(root, "etc"), { recursive: true });
  const shell = "/bin/sh";
  writeFileSync(
    join(root, "etc", "passwd"),
    `root:x:0:0:root:/root:${shell}\nnobody:x:65534:65534:nobody:/tmp:${shell}\n`,
  );
  writeFileSync(join(root, "etc", "group"), "root:x:0:\nnogroup:x:65534:\n");
}

/** `localhost/busybox:1`: a shell and the usual small programs. */
export function busyboxImage(): Image {
  return image("localhost/busybox:1", "busybox", ["/bin/sh"], (root) => {
    for (const name of ["bin", "tmp", "root", "usr", "var", "home"]) mkdirSync(join(root, name));
    chmodSync(join(root, "tmp"), 0o1777);
    copyFileSync(busyboxProgram, join(root, "bin", "busybox"));
    const applets = execFileSync(busyboxProgram, ["--list"], { encoding: "utf8" }).trim().split("\n");
    for (const applet of applets) if (applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet));
    symlinkSync("../bin", join(root, "usr", "bin"));
    symlinkSync("bin", join(root, "sbin"));
    writeUsers(root);
  });
}

/** `localhost/pause:1`: what holds the namespaces of a pod. */
export function pauseImage(): Image {
  return image("localhost/pause:1", "pause", ["/busybox", "sleep", "2147483647"], (root) => {
    copyFileSync(busyboxProgram, join(root, "busybox"));
  });
}

/**
 * An image of Debian packages and of all that they depend on, unpacked only: no maintainer's script is run. Needs apt with its lists.
 * @param name as pods ask for it, with a tag: `localhost/python:1`
 */
export function debianImage(name: string, packages: string[]): Image {
  const key = `debian-${createHash("sha256").update(packages.join(" ")).digest("hex").slice(0, 12)}`;
  return image(name, key, ["/bin/sh"], (root) => {
    const debs = join(root, "..", "debs");
    mkdirSync(debs, { mode: 0o777 });
    for (const one of ["bin", "sbin", "lib", "lib64"]) {
      mkdirSync(join(root, "usr", one), { recursive: true });
      symlinkSync(`usr/${one}`, join(root, one));
    }
    for (const one of ["tmp", "root", "proc", "sys", "dev"]) mkdirSync(join(root, one));
    chmodSync(join(root, "tmp"), 0o1777);
    // A virtual package's name cannot be downloaded: another one provides it, and is in the list too.
    for (const one of dependencies(packages))
      spawnSync("nice", ["-n", "10", "apt-get", "-qq", "download", one], { cwd: debs, stdio: "ignore" });
    const files = readdirSync(debs);
    if (files.length === 0) throw new Error(`none of ${packages.join(", ")} could be downloaded; try apt-get update`);
    for (const file of files) {
      const unpack = `dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"`;
      execFileSync("sh", ["-c", unpack, "sh", join(debs, file), root]);
    }
    for (const one of ["doc", "man", "locale"])
      rmSync(join(root, "usr", "share", one), { recursive: true, force: true });
    if (!existsSync(join(root, "bin", "sh"))) {
      copyFileSync(busyboxProgram, join(root, "bin", "busybox"));
      symlinkSync("busybox", join(root, "bin", "sh"));
    }
    if (!existsSync(join(root, "etc", "passwd"))) writeUsers(root);
  });
}

function dependencies(packages: string[]): string[] {
  const no = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances", "pre-depends"];
  const words = ["depends", "--recurse", ...no.map((one) => `--no-${one}`), ...packages];
  const listed = execFileSync("apt-cache", words, { encoding: "utf8", maxBuffer: 2 ** 26 }).split("\n");
  const skipped = /:|^(debconf|perl|dpkg|install-info|gcc-12-base|cdebconf)/;
  return [...new Set(listed.filter((line) => /^[a-z0-9]/.test(line) && !skipped.test(line)))].sort();
}

/** `localhost/berth:VERSION`, as `npm run image` makes it of this repository as it is now; a few seconds, the first time ten. */
export function berthImage(): Image {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "..", "..", "package.json"), "utf8")) as {
    version: string;
  };
  const name = `localhost/berth:${version}`;
  const archive = join(folder(), "berth.tar");
  writeImage({ name, output: archive, cache: folder() });
  return { name, archive };
}
