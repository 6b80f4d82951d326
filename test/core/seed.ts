// The seed of the property tests: a new one each run, printed in the names; BERTH_SEED replays one.
export const SEED = Number(process.env.BERTH_SEED ?? Math.floor(Math.random() * 2 ** 31));

export const announced = (name: string): string => `${name} (BERTH_SEED=${SEED})`;
