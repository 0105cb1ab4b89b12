/** The options of squeue, scancel, sinfo, sacct, sprio and sshare, as data. */
import type { OptionDefinition } from "./options.ts";

/** `name`, `name|short`, with `=` a value, with `=?` one that may be left out; an alias behind a comma. */
function options(status: OptionDefinition["status"], words: string): OptionDefinition[] {
  const result: OptionDefinition[] = [];
  for (const word of words.split(" ")) {
    const [, name = "", alias, short, value] = /^([\w-]+)(?:,([\w-]+))?(?:\|(\w))?(=\??)?$/.exec(word)!;
    const entry: OptionDefinition = {
      name,
      status,
      value: value === undefined ? "none" : value === "=" ? "required" : "optional",
    };
    if (alias !== undefined) entry.aliases = [alias];
    if (short !== undefined) entry.short = short;
    result.push(entry);
  }
  return result;
}

export const squeueOptions: readonly OptionDefinition[] = [
  ...options(
    "honoured",
    "account|A= array|r format|o= Format|O= help jobs|j= long|l me name|n= nodelist|w= noheader|h",
  ),
  ...options("honoured", "partition|p= qos|q= sort|S= start states|t= steps|s=? user|u= version|V usage array-unique"),
  ...options("accepted", "all|a hide local noconvert priority|P verbose|v sibling"),
  ...options(
    "refused",
    "clusters|M= federation iterate|i= json=? licenses|L= notme reservation|R= yaml=? only-job-state expand-patterns",
  ),
];

export const scancelOptions: readonly OptionDefinition[] = [
  ...options(
    "honoured",
    "account|A= help me jobname,name|n= nodelist|w= partition|p= qos|q= quiet|Q signal|s= state|t= user|u=",
  ),
  ...options("honoured", "batch|b full|f verbose|v version|V usage"),
  ...options("accepted", "ctld hurry|H"),
  ...options("refused", "clusters|M= cron|c interactive|i reservation|R= sibling|S= wckey="),
];

export const sinfoOptions: readonly OptionDefinition[] = [
  ...options(
    "honoured",
    "exact|e format|o= Format|O= help list-reasons|R long|l Node|N nodes|n= noheader|h partition|p=",
  ),
  ...options("honoured", "responding|r dead|d states|t= summarize|s version|V usage"),
  ...options("accepted", "all|a hide local noconvert verbose|v"),
  ...options("refused", "clusters|M= federation future|F iterate|i= json=? reservation|T sort|S= yaml=?"),
];

export const sacctOptions: readonly OptionDefinition[] = [
  ...options(
    "honoured",
    "accounts,account|A= allocations|X allusers|a array brief|b delimiter= duplicates|D endtime|E= format|o=",
  ),
  ...options("honoured", "help|h helpformat|e jobs|j= long|l name= noheader|n parsable|p parsable2|P partition|r="),
  ...options("honoured", "nodelist|N= qos|q= starttime|S= state|s= uid,user|u= units= version|V usage"),
  ...options("accepted", "completion|c local noconvert verbose|v federation"),
  ...options(
    "refused",
    "batch-script|B env-vars clusters|M= constraints|C= flags|F= json=? nnodes|i= ncpus|I= reason|R= timelimit-max|K=",
  ),
  ...options(
    "refused",
    "group,gid|g= timelimit-min|k= truncate|T use-local-uid wckeys|W= whole-hetjob=? yaml=? associations|x= file|f=",
  ),
];

export const sprioOptions: readonly OptionDefinition[] = [
  ...options("honoured", "format|o= help jobs|j= long|l noheader|h norm|n partition|p= sort|S= usage"),
  ...options("honoured", "user|u= version|V weights|w"),
  ...options("accepted", "local sibling verbose|v"),
  ...options("refused", "clusters,cluster|M= federation"),
];

export const sshareOptions: readonly OptionDefinition[] = [
  ...options("honoured", "accounts|A= all|a format|o= help helpformat|e long|l noheader|n"),
  ...options("honoured", "parsable|p parsable2|P usage users|u= Users|U version|V"),
  ...options("accepted", "verbose|v"),
  ...options("refused", "clusters,cluster|M= json=? partition|m yaml=?"),
];
