/** `berth controllers`: the controllers of a cluster that Berth did not start, in the foreground. */
import { fileURLToPath } from "node:url";

export interface ControllersOptions {
  kubeconfig?: string;
  context?: string;
  users?: string;
  passwd?: string;
  group?: string;
  accounting: string;
  listen?: string;
  questions?: string;
  webhook?: string;
  requestsPerSecond?: string;
  volcano?: boolean;
}

/** Takes this process's place; several of them may run, of which one leads. */
export function controllers(options: ControllersOptions): number {
  const entry = fileURLToPath(new URL("main.ts", import.meta.resolve("@berth/daemon")));
  const words = [process.execPath, ...process.execArgv, entry, "controller-manager"];
  const add = (option: string, value: string | undefined): void => {
    if (value !== undefined) words.push(option, value);
  };
  add("--kubeconfig", options.kubeconfig);
  add("--context", options.context);
  add("--users", options.users);
  add("--passwd", options.passwd);
  add("--group", options.group);
  add("--accounting", options.accounting);
  add("--listen", options.listen);
  add("--questions", options.questions);
  add("--webhook", options.webhook);
  add("--requests-per-second", options.requestsPerSecond);
  if (options.volcano === true) words.push("--volcano");
  return process.execve!(process.execPath, words, process.env as Record<string, string>);
}
