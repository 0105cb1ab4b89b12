import { createHash } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, normalize, resolve } from "node:path";
import type { Container, Pod } from "@berth/kinds";
import { podField } from "./environment.ts";
import type { BindMount } from "./mounts.ts";

export interface VolumeObject {
  uid: string;
  resourceVersion: string;
  data: Record<string, Buffer>;
}

export interface VolumeSources {
  secret(namespace: string, name: string): Promise<VolumeObject | undefined>;
  configMap(namespace: string, name: string): Promise<VolumeObject | undefined>;
}

interface Item {
  key: string;
  path: string;
  mode?: number;
}
interface KeyedSource {
  name?: string;
  secretName?: string;
  items?: Item[];
  defaultMode?: number;
  optional?: boolean;
}
interface DownwardItem {
  path: string;
  mode?: number;
  fieldRef?: { fieldPath: string };
}
interface FileContent {
  path: string;
  mode: number;
  content: Buffer;
}

/** A volume that cannot be had; its message is what the event `FailedMount` says. */
export class VolumeError extends Error {
  override name = "FailedMount";
}

const defaultMode = 0o644;
const keepUnusedMs = 30_000;

/**
 * The volumes of pods as folders of the machine. Secrets and config maps are written once for each version of the object
 * and shared by all pods that mount them the same way; `emptyDir` belongs to its pod.
 */
export class Volumes {
  readonly #directory: string;
  readonly #sources: VolumeSources;
  readonly #hidden: string;
  readonly #ownFolders = new Set<string>();
  readonly #shared = new Map<string, { users: Set<string>; timer?: NodeJS.Timeout }>();

  /** `directory` is this agent's own; nothing at or below `hidden` (the data folder) may be mounted by `hostPath`. */
  constructor(directory: string, hidden: string, sources: VolumeSources) {
    this.#directory = directory;
    this.#hidden = hidden;
    this.#sources = sources;
    const shared = join(directory, "shared");
    mkdirSync(shared, { recursive: true, mode: 0o711 });
    // What an agent before this one had written is mounted where its tasks run; the next task of a lease reads it anew.
    for (const name of readdirSync(shared)) {
      if (name.endsWith(".new")) rmSync(join(shared, name), { recursive: true, force: true });
      else this.#shared.set(join(shared, name), { users: new Set() });
    }
  }

  /** To be called when the pods of an agent before this one are taken over: what none of them mounts goes. */
  dropUnused(): void {
    for (const [path, use] of this.#shared)
      if (use.users.size === 0 && use.timer === undefined) this.#expire(path, use);
  }

  #expire(path: string, use: { timer?: NodeJS.Timeout }): void {
    use.timer = setTimeout(() => {
      this.#shared.delete(path);
      rmSync(path, { recursive: true, force: true });
    }, keepUnusedMs).unref();
  }

  /** Folders of all volumes of a pod by name. `owner` owns files where no sandbox guards them. */
  async prepare(
    pod: Pod,
    nodeName: string,
    owner: { uid: number; gid: number } | undefined,
  ): Promise<Map<string, string>> {
    const paths = new Map<string, string>();
    for (const volume of pod.spec.volumes ?? []) {
      paths.set(volume.name, await this.#prepareOne(pod, nodeName, volume, owner));
    }
    return paths;
  }

  release(podUid: string): void {
    if (this.#ownFolders.delete(podUid))
      rmSync(join(this.#directory, "pods", podUid), { recursive: true, force: true });
    for (const [path, use] of this.#shared) {
      if (!use.users.delete(podUid) || use.users.size > 0) continue;
      // The next task of the array may want it in a moment.
      this.#expire(path, use);
    }
  }

  async #prepareOne(
    pod: Pod,
    nodeName: string,
    volume: { name: string } & Record<string, unknown>,
    owner: { uid: number; gid: number } | undefined,
  ): Promise<string> {
    const uid = pod.metadata.uid!;
    if (volume["hostPath"] !== undefined) return this.#hostPath(volume["hostPath"] as { path: string });
    if (volume["emptyDir"] !== undefined) {
      const path = join(this.#directory, "pods", uid, volume.name);
      mkdirSync(path, { recursive: true });
      this.#ownFolders.add(uid);
      for (const above of [dirname(path), dirname(dirname(path))]) chmodSync(above, 0o711);
      chmodSync(path, 0o777);
      return path;
    }
    const { files, key } = await this.#files(pod, nodeName, volume);
    const digest = createHash("sha256")
      .update(JSON.stringify([key, owner ?? null]))
      .digest("hex")
      .slice(0, 24);
    const path = join(this.#directory, "shared", digest);
    const known = this.#shared.get(path);
    if (known !== undefined) {
      clearTimeout(known.timer);
      known.users.add(uid);
      return path;
    }
    this.#shared.set(path, { users: new Set([uid]) });
    try {
      writeFolder(path, files, owner);
    } catch (error) {
      this.#shared.delete(path);
      rmSync(`${path}.new`, { recursive: true, force: true });
      throw error;
    }
    return path;
  }

  /** Files of a volume, and what names this version of them. */
  async #files(
    pod: Pod,
    nodeName: string,
    volume: { name: string } & Record<string, unknown>,
  ): Promise<{ files: FileContent[]; key: unknown[] }> {
    if (volume["secret"] !== undefined) return this.#keyed(pod, "secret", volume["secret"] as KeyedSource);
    if (volume["configMap"] !== undefined) return this.#keyed(pod, "configMap", volume["configMap"] as KeyedSource);
    if (volume["downwardAPI"] !== undefined) {
      const source = volume["downwardAPI"] as { items?: DownwardItem[]; defaultMode?: number };
      const files = downwardFiles(pod, nodeName, source.items ?? [], source.defaultMode);
      return { files, key: ["downward", pod.metadata.uid, volume.name] };
    }
    if (volume["projected"] !== undefined) {
      const { sources = [], defaultMode: mode } = volume["projected"] as {
        sources?: Record<string, KeyedSource & { items?: unknown[] }>[];
        defaultMode?: number;
      };
      const files: FileContent[] = [];
      for (const source of sources) {
        const [kind] = Object.keys(source);
        // Tokens for the API are not for jobs: none is made, and nothing may depend on it.
        if (kind === undefined || kind === "serviceAccountToken") continue;
        const inner = { ...source[kind], defaultMode: mode };
        const one = { name: volume.name, [kind]: kind === "secret" ? { ...inner, secretName: inner.name } : inner };
        files.push(...(await this.#files(pod, nodeName, one)).files);
      }
      return { files, key: ["projected", pod.metadata.uid, volume.name] };
    }
    const kind = Object.keys(volume).find((field) => field !== "name") ?? "nothing";
    throw new VolumeError(
      `volume "${volume.name}" is a ${kind}, which the embedded node cannot mount; it can secret, configMap, emptyDir, downwardAPI, projected and hostPath`,
    );
  }

  async #keyed(
    pod: Pod,
    kind: "secret" | "configMap",
    source: KeyedSource,
  ): Promise<{ files: FileContent[]; key: unknown[] }> {
    const name = source.secretName ?? source.name ?? "";
    const object = await this.#sources[kind](pod.metadata.namespace ?? "default", name);
    const mode = source.defaultMode ?? defaultMode;
    if (object === undefined) {
      if (source.optional === true) return { files: [], key: ["none"] };
      throw new VolumeError(`${kind.toLowerCase()} "${name}" not found`);
    }
    const items = source.items ?? Object.keys(object.data).map((key): Item => ({ key, path: key }));
    const files = items.flatMap((item): FileContent[] => {
      const content = object.data[item.key];
      if (content !== undefined) return [{ path: item.path, mode: item.mode ?? mode, content }];
      if (source.optional === true) return [];
      throw new VolumeError(`${kind.toLowerCase()} "${name}" has no key ${item.key}`);
    });
    return { files, key: [kind, object.uid, object.resourceVersion, source.items ?? null, mode] };
  }

  #hostPath({ path }: { path: string }): string {
    const wanted = resolve(path);
    if (wanted === this.#hidden || wanted.startsWith(`${this.#hidden}/`) || this.#hidden.startsWith(`${wanted}/`)) {
      throw new VolumeError(`hostPath ${path}: Berth's data folder cannot be mounted`);
    }
    return wanted;
  }
}

function downwardFiles(pod: Pod, nodeName: string, items: DownwardItem[], mode = defaultMode): FileContent[] {
  return items.map((item) => {
    const value = item.fieldRef === undefined ? undefined : podField(pod, item.fieldRef.fieldPath, nodeName);
    if (value === undefined) throw new VolumeError(`downwardAPI ${item.path}: this field cannot be had`);
    return { path: item.path, mode: item.mode ?? mode, content: Buffer.from(value) };
  });
}

function writeFolder(path: string, files: FileContent[], owner: { uid: number; gid: number } | undefined): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { mode: 0o755 });
  for (const file of files) {
    const relative = normalize(file.path);
    if (relative.startsWith("..") || relative.startsWith("/"))
      throw new VolumeError(`${file.path}: leads out of the volume`);
    const target = join(temporary, relative);
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    writeFileSync(target, file.content);
    chmodSync(target, file.mode);
    if (owner !== undefined) chownSync(target, owner.uid, owner.gid);
  }
  if (owner !== undefined) {
    chownSync(temporary, owner.uid, owner.gid);
    chmodSync(temporary, 0o700);
  }
  rmSync(path, { recursive: true, force: true });
  renameSync(temporary, path);
}

/** What a container mounts, by the folders that `prepare` gave. */
export function containerMounts(container: Container, folders: Map<string, string>): BindMount[] {
  return (container.volumeMounts ?? []).map((mount) => {
    const folder = folders.get(mount.name);
    if (folder === undefined)
      throw new VolumeError(`container "${container.name}" mounts "${mount.name}", which is no volume of the pod`);
    const source = mount.subPath === undefined ? folder : join(folder, normalize(`/${mount.subPath}`));
    return { source, target: resolve(mount.mountPath), readOnly: mount.readOnly === true };
  });
}
