/** `berth kubeconfig`: prints the kubeconfig of an embedded cluster. */
import { defaultDataFolder } from "@berth/identity";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CommandError } from "../command-error.ts";
import { dataFolderOf } from "../connect.ts";

export async function kubeconfig(options: { data?: string }): Promise<number> {
  const data = dataFolderOf(options.data, defaultDataFolder);
  const path = join(data, "admin.kubeconfig");
  try {
    process.stdout.write(readFileSync(path, "utf8"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT")
      throw new CommandError(`${data} holds no cluster yet; start one with: berth up --data ${data}`);
    if (code === "EACCES") throw new CommandError(`you may not read ${path}; its owner runs the cluster`);
    throw error;
  }
  return 0;
}
