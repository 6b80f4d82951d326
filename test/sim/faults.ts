// The faults that a run may have, by class, and the counters which prove that each of them really happened.

/** Each class with what it counts. A counter that stays at zero over the whole suite is a failure of the suite. */
export const FAULTS = {
  loss: ["message lost"],
  delay: ["message delayed"],
  duplication: ["message duplicated"],
  reordering: ["message reordered"],
  partition: ["agent's requests cut off", "agent's answers cut off", "agent cut off both ways"],
  objects: ["objects cut off one way", "objects cut off both ways"],
  isolation: ["node isolated"],
  silence: ["control plane silent"],
  power: ["power lost", "power returned"],
  agent: ["agent restarted", "agent paused"],
  clock: ["wall clock jumped", "wall clock wrong after boot", "clock drifts"],
  gateway: ["gateway restarted"],
  engine: ["engine restarted"],
  container: ["container removed", "orphan container appeared"],
  restart: ["object restarted", "effects lost", "outcome lost", "reply lost", "restarted before its route was told"],
  skew: ["object moved to another clock"],
  alarm: ["alarm lagged"],
  pull: ["slow pull", "pull failed"],
  crash: ["instance crashed", "crash-looping release"],
  oom: ["out of memory"],
  sick: ["readiness failed"],
  postgres: ["postgres down"],
  kv: ["kv down"],
} as const;
export type FaultClass = keyof typeof FAULTS;
export const FAULT_CLASSES = Object.keys(FAULTS) as FaultClass[];

export interface FaultRates {
  readonly loss: number;
  readonly delay: number;
  readonly duplication: number;
  /** Chance of a restart before, and again after, each step of an object. */
  readonly restart: number;
  /** Chance that a restarted object comes to life where the clock differs. */
  readonly skew: number;
  readonly alarmLag: number;
  readonly reordering: boolean;
}
export const NO_FAULTS: FaultRates = {
  loss: 0,
  delay: 0,
  duplication: 0,
  restart: 0,
  skew: 0,
  alarmLag: 0,
  reordering: true,
};

/** rough: bad days. harsh: what no network does for long: a fifth of everything lost, objects restart at every tenth step. */
export type Weather = "rough" | "harsh";
const RATES: Record<Weather, FaultRates> = {
  rough: { loss: 0.03, delay: 0.02, duplication: 0.04, restart: 0.01, skew: 0.3, alarmLag: 0.03, reordering: true },
  harsh: { loss: 0.2, delay: 0.05, duplication: 0.2, restart: 0.1, skew: 0.3, alarmLag: 0.1, reordering: true },
};

export function ratesOf(weather: Weather, classes: ReadonlySet<FaultClass>): FaultRates {
  const full = RATES[weather];
  return {
    loss: classes.has("loss") ? full.loss : 0,
    delay: classes.has("delay") ? full.delay : 0,
    duplication: classes.has("duplication") ? full.duplication : 0,
    restart: classes.has("restart") ? full.restart : 0,
    skew: classes.has("skew") ? full.skew : 0,
    alarmLag: classes.has("alarm") ? full.alarmLag : 0,
    reordering: classes.has("reordering"),
  };
}

/** `all`, `none`, or names with commas; a leading minus takes one away from all: `-power,-clock`. */
export function parseFaults(text: string): ReadonlySet<FaultClass> {
  const names = text.split(",").map((name) => name.trim());
  if (text === "all") return new Set(FAULT_CLASSES);
  if (text === "none") return new Set();
  const isWithout = names.every((name) => name.startsWith("-"));
  const chosen = new Set(isWithout ? FAULT_CLASSES : []);
  for (const name of names) {
    const plain = name.replace(/^-/, "") as FaultClass;
    if (!FAULT_CLASSES.includes(plain))
      throw new Error(`no fault is called ${name}; there are ${FAULT_CLASSES.join()}`);
    if (isWithout) chosen.delete(plain);
    else chosen.add(plain);
  }
  return chosen;
}
