// Which of iptables' extensions this host has: tried out in a chain that nothing leads to.
import type { Family } from "./ranges.ts";
import { type Feature, FEATURES, type RuleNames } from "./rules.ts";
import { restore, TablesFailed } from "./tables.ts";

const TRIALS: Readonly<Record<Feature, string>> = {
  conntrack: "-m conntrack --ctstate NEW --ctdir REPLY -j RETURN",
  connlimit: "-m connlimit --connlimit-above 1 --connlimit-mask 32 --connlimit-saddr -j RETURN",
  hashlimit:
    "-m hashlimit --hashlimit-above 1/second --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name berth-trial -j RETURN",
  reject: "-p tcp -j REJECT --reject-with tcp-reset",
};

/** What is lost without it, for people. */
export const LOSSES: Readonly<Record<Feature, string>> = {
  conntrack:
    "connections are told apart by TCP flags alone, and other hosts may come to containers by their own addresses",
  connlimit: "the connections of a container are not limited",
  hashlimit: "the pace of a container's new connections is not limited",
  reject: "what is refused is dropped without a word",
};

/** Throws TablesFailed where not even the plainest rule can be written. */
export async function featuresOf(family: Family, names: RuleNames): Promise<Set<Feature>> {
  const trial = `${names.host}-TRY`;
  const ends = [`-F ${trial}`, `-X ${trial}`];
  await restore(family, [`:${trial} - [0:0]`, `-A ${trial} -j RETURN`]);
  const found = new Set<Feature>();
  try {
    for (const feature of FEATURES) {
      try {
        await restore(family, [
          `-A ${trial} ${TRIALS[feature].replace("mask 32", `mask ${family === "v4" ? 32 : 128}`)}`,
        ]);
        found.add(feature);
      } catch (error) {
        if (!(error instanceof TablesFailed)) throw error;
      }
    }
  } finally {
    await restore(family, ends);
  }
  return found;
}
