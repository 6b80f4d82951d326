// How far a region is from a visitor, by the coordinates that the platform names with each request.

export interface Place {
  /** Degrees; north and east are positive. */
  readonly latitude: number;
  readonly longitude: number;
}

/** Of a region whose place nobody told: behind all that are known. */
const UNKNOWN_KM = 100_000;
const EARTH_RADIUS_KM = 6_371;

/** Kilometres on the great circle (haversine formula). */
export function distanceKm(from: Place, to: Place): number {
  const lat = radians(to.latitude - from.latitude) / 2;
  const lon = radians(to.longitude - from.longitude) / 2;
  const h = Math.sin(lat) ** 2 + Math.cos(radians(from.latitude)) * Math.cos(radians(to.latitude)) * Math.sin(lon) ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** By region, rounded to kilometres so that racks in one town are alike. */
export function distances(visitor: Place, regions: Readonly<Record<string, Place>>): (region: string) => number {
  const known = new Map<string, number>();
  return (region) => {
    let km = known.get(region);
    if (km === undefined) {
      const place = regions[region];
      km = place === undefined ? UNKNOWN_KM : Math.round(distanceKm(visitor, place));
      known.set(region, km);
    }
    return km;
  };
}
