/** Who is told what of whose jobs and usage. */
import type { Audience, InquirySpec } from "@berth/kinds";
import type { Stores } from "../stores.ts";

type Asker = InquirySpec["asker"];

/** Members are told everything, as by accounting. */
const operatorGroups: ReadonlySet<string> = new Set(["system:masters", "berth:operators", "berth:controllers"]);

/** What one who asks may know: `Whole`, what the Workload itself says; `Listed`, who and what size and state; `Counted`, that it is there. */
type Knowledge = "Whole" | "Listed" | "Counted";

export interface Privacy {
  /** Of the jobs of this user in this account. */
  ofJobs(user: string, account: string): Knowledge;
  /** Whether the usage of this user (absent: of the whole account) is told. */
  mayKnowUsage(account: string, user: string | undefined): boolean;
}

/** The Site's privacy as it holds for one who asks. */
export function privacyFor(asker: Asker, stores: Pick<Stores, "memberships" | "sites">): Privacy {
  if (asker.seesAll || asker.groups.some((name) => operatorGroups.has(name))) {
    return { ofJobs: () => "Whole", mayKnowUsage: () => true };
  }
  const { jobs = "Everybody", usage = "Everybody" } = stores.sites.get(undefined, "site")?.spec.privacy ?? {};
  const member = new Set<string>();
  const operator = new Set<string>();
  for (const { spec } of stores.memberships.byIndex("user", asker.user)) {
    member.add(spec.account);
    if (spec.operator === true) operator.add(spec.account);
  }
  const isTold = (audience: Audience, account: string): boolean =>
    audience === "Everybody" || (audience === "Account" && member.has(account));
  return {
    ofJobs: (user, account) => {
      if (user === asker.user || operator.has(account)) return "Whole";
      return isTold(jobs, account) ? "Listed" : "Counted";
    },
    mayKnowUsage: (account, user) =>
      user === asker.user ||
      operator.has(account) ||
      (user === undefined && member.has(account)) ||
      isTold(usage, account),
  };
}
