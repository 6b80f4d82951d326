// In which order test files are begun: long ones first, so that all lanes end together.

/** Tests of single parts: most wait for real processes, and one per core would leave the cores idle. */
export const LANES = 3;
/** A stack mostly waits too, but its processes are many: stacks come when the other tests are done. */
export const STACKS_AT_ONCE = 2;

/** What takes more than a quarter of a minute, in the order in which it is best begun: below test/, without `.test.ts`. What is not here comes after. */
const FIRST = [
  "e2e/under-way",
  "e2e/partition",
  "e2e/domains",
  "e2e/singletons",
  "e2e/rollout-ends",
  "e2e/nodes",
  "e2e/rollouts",
  "e2e/one-node",
  "e2e/fleet",
  "e2e/dark-nodes",
  "e2e/placement-policies",
  "e2e/backup",
  "e2e/agent-upgrade",
  "e2e/people",
  "e2e/control-killed",
  "e2e/self-healing",
  "node-agent/agent/strict",
  "node-agent/agent/link",
  "node-agent/agent/disk",
  "node-agent/agent/engine",
  "sim/simulation",
  "sim/broken",
  "node-agent/agent/jobs",
  "node-agent/agent/docker",
  "node-agent/agent/returns",
  "cli/setup/resume",
  "node-agent/agent/removed",
  "node-agent/agent/engine-away",
  "self-hosted/setup",
  "edge/health",
  "node-agent/agent/adoption",
  "cli/setup/setup",
  "db/unavailable",
  "db/quotas",
  "node-agent/agent/images",
  "db/accounts",
  "edge/routing",
  "node-agent/certificate/acme",
  "edge/power-cut",
  "node-agent/agent/notices",
  "node-agent/agent/process",
  "self-hosted/setup-failures",
  "node-agent/agent/apart",
];

/** Of equals the order stays: those of one project follow each other. */
export function inGoodOrder<File extends { readonly name: string }>(files: readonly File[]): File[] {
  const placeOf = ({ name }: File): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return files.toSorted((a, b) => placeOf(a) - placeOf(b));
}
