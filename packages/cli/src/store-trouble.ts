/** What the API says of its own health. */
import { ApiError } from "@berth/machinery";
import type { Cluster } from "./connect.ts";

/** Why the API cannot write, where it says so: a full disk. */
export async function storeTrouble({ client }: Cluster): Promise<string | undefined> {
  try {
    await client.request({ method: "GET", path: "/readyz" });
  } catch (error) {
    // What is well is said in plain text, not in JSON.
    if (error instanceof ApiError && error.code >= 500) return /store failed: (.*)/.exec(error.message)?.[1];
  }
  return undefined;
}
