/** Names of users on Slurm's command lines. */
import { LocalUsers } from "@berth/identity";

/** The names of those users that the machine knows; of others it is said on standard error, and they are passed over. */
export async function knownUsers(program: string, names: readonly string[] | undefined): Promise<string[] | undefined> {
  if (names === undefined) return undefined;
  const users = new LocalUsers();
  const found = await Promise.all(
    names.map(async (name) => {
      const user = /^\d+$/.test(name) ? await users.byUid(Number(name)) : await users.byName(name);
      if (user === undefined) process.stderr.write(`${program}: error: Invalid user: ${name}\n`);
      return user?.name;
    }),
  );
  return found.filter((name) => name !== undefined);
}
