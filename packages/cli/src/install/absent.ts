import { isReason } from "@berth/client";

/** What is not there is undefined. */
export async function absent<T>(asked: Promise<T>): Promise<T | undefined> {
  return asked.catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });
}
