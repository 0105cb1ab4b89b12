/** `sshare`: shares and usage of accounts and users. */
import { isReason } from "@berth/client";
import { fairShares, type FairShare } from "@berth/kinds";
import { formatSshare, readSshareCommandLine, SlurmError, sshareFieldNames, sshareOptions } from "@berth/slurm";
import { userInfo } from "node:os";
import { connect } from "../connect.ts";
import { withCluster } from "./contact.ts";
import { showText } from "./help.ts";
import { knownUsers } from "./users.ts";

const examples =
  "Examples:\n  sshare\n  sshare -a -l\n  sshare -A bio -u ada,bob\n  sshare -U -n -P -o Account,FairShare\n";

export async function sshare(words: string[]): Promise<number> {
  const query = readSshareCommandLine(words);
  if (query.show !== undefined) return showText("sshare", query.show, sshareOptions, examples);
  if (query.helpFormat) {
    process.stdout.write(sshareFieldNames());
    return 0;
  }
  // Wrong columns are refused before anything is asked.
  formatSshare([], query, "");
  return await withCluster("sshare", async () => {
    const { client } = await connect();
    const users = await knownUsers("sshare", query.users);
    const asker = userInfo().username;
    try {
      const { items } = await client.listAll<FairShare>(fairShares, { limit: 2000 });
      process.stdout.write(formatSshare(items, { ...query, users }, asker));
      return 0;
    } catch (error) {
      if (isReason(error, "NotFound", "Forbidden", "NotImplemented", "Timeout", "ServiceUnavailable"))
        throw new SlurmError(1, `error: the scheduler of this cluster does not tell shares: ${error.message}`);
      throw error;
    }
  });
}
