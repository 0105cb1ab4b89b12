/** The programs of a real Kubernetes, built from their Go modules at the versions of go/go.sum into a cache outside the repository. */
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const kubernetesVersion = "v1.35.4";
const kwokVersion = "v0.7.0";

const component = (name: string) => ({ package: `k8s.io/kubernetes/cmd/${name}`, makes: name });
/** In the order in which they are built: what a bare control plane needs comes first. */
const programs = {
  etcd: { package: "go.etcd.io/etcd/server/v3", makes: "server" },
  "kube-apiserver": component("kube-apiserver"),
  kubectl: component("kubectl"),
  "kube-controller-manager": component("kube-controller-manager"),
  "kube-scheduler": component("kube-scheduler"),
  kubelet: component("kubelet"),
  kwok: { package: `sigs.k8s.io/kwok/cmd/kwok@${kwokVersion}`, makes: "kwok" },
} as const;

export type Program = keyof typeof programs;

/** Where the programs are, and what is made for nodes of them: `BERTH_KUBE_CACHE`, by default `~/.cache/berth/kube`. */
export const cacheFolder = join(
  process.env["BERTH_KUBE_CACHE"] ?? join(homedir(), ".cache", "berth", "kube"),
  kubernetesVersion,
);

export const binary = (name: Program): string => join(cacheFolder, name);

/** Why what needs these programs cannot run here, or false. */
export function withoutPrograms(...names: Program[]): string | false {
  const absent = names.filter((name) => !existsSync(binary(name)));
  if (absent.length === 0) return false;
  return `not built: ${absent.join(", ")} of Kubernetes ${kubernetesVersion}; \`npm run kube -- build\` makes them (needs go; about 15 minutes once)`;
}

/** Builds what is not there yet and says what it does; fails in words where go is missing or a build fails. */
export async function buildPrograms(say: (line: string) => void): Promise<void> {
  const absent = (Object.keys(programs) as Program[]).filter((name) => !existsSync(binary(name)));
  if (absent.length === 0) return;
  if (spawnSync("go", ["version"], { stdio: "ignore" }).status !== 0)
    throw new Error(`go is not installed, and ${cacheFolder} lacks ${absent.join(", ")}`);
  mkdirSync(cacheFolder, { recursive: true });
  const folder = mkdtempSync(join(cacheFolder, ".build-"));
  try {
    // A copy, because go may not write into the repository.
    for (const name of ["go.mod", "go.sum"]) copyFileSync(join(import.meta.dirname, "go", name), join(folder, name));
    for (const [at, name] of absent.entries()) {
      const begun = Date.now();
      say(`building ${name} (${at + 1} of ${absent.length}) …`);
      await install(folder, name);
      say(`built ${name} in ${Math.round((Date.now() - begun) / 1000)} s`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function install(folder: string, name: Program): Promise<void> {
  const { package: source, makes } = programs[name];
  const version = "k8s.io/component-base/version";
  const [major, minor] = kubernetesVersion.slice(1).split(".");
  const flags = [
    "-s -w",
    `-X ${version}.gitVersion=${kubernetesVersion}`,
    `-X ${version}.gitMajor=${major}`,
    `-X ${version}.gitMinor=${minor}`,
  ];
  const child = spawn("nice", ["-n", "10", "go", "install", "-trimpath", "-ldflags", flags.join(" "), source], {
    cwd: folder,
    env: { ...process.env, GOBIN: folder, GOFLAGS: "-mod=mod" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => (complaints = `${complaints}${chunk.toString()}`.slice(-2000)));
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`go install ${source}: ${complaints}`);
  renameSync(join(folder, makes), binary(name));
}
