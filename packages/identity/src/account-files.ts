/** The formats of passwd(5) and group(5). Lines that are not entries (comments, NIS markers, broken ones) are passed over. */

export interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
}

export interface GroupEntry {
  name: string;
  gid: number;
  members: string[];
}

/** One line of passwd(5), as `getent passwd NAME` prints it; undefined when it is not an entry. */
export function parsePasswdLine(line: string): PasswdEntry | undefined {
  const fields = line.trim().split(":");
  const [name, , uidText, gidText, , home, shell] = fields;
  const uid = parseId(uidText);
  const gid = parseId(gidText);
  if (fields.length < 7 || !isAccountName(name) || uid === undefined || gid === undefined) return undefined;
  // An empty home or shell has a meaning of its own in passwd(5): / and /bin/sh.
  return { name, uid, gid, home: home || "/", shell: shell || "/bin/sh" };
}

/** All entries of a passwd(5) file, in its order. */
export function parsePasswdFile(text: string): PasswdEntry[] {
  return text.split("\n").flatMap((line) => parsePasswdLine(line) ?? []);
}

/** All entries of a group(5) file, in its order. */
export function parseGroupFile(text: string): GroupEntry[] {
  return text.split("\n").flatMap((line) => {
    const [name, , gidText, members] = line.trim().split(":");
    const gid = parseId(gidText);
    if (members === undefined || !isAccountName(name) || gid === undefined) return [];
    return [{ name, gid, members: members.split(",").filter((member) => member !== "") }];
  });
}

function isAccountName(name: string | undefined): name is string {
  return name !== undefined && name !== "" && !/^[#+-]/.test(name);
}

function parseId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  // The largest id is how the kernel says "none".
  return id < 0xff_ff_ff_ff ? id : undefined;
}
