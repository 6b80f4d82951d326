// Cookies of the edge's own, among those of the app.

export function cookieOf(headers: Headers, name: string): string | null {
  for (const pair of pairsOf(headers)) if (nameOf(pair) === name) return pair.slice(name.length + 1).trim();
  return null;
}

/** The app never sees it. */
export function dropCookie(headers: Headers, name: string): void {
  const others = pairsOf(headers).filter((pair) => nameOf(pair) !== name);
  if (others.length > 0) headers.set("cookie", others.join("; "));
  else headers.delete("cookie");
}

const pairsOf = (headers: Headers): string[] => {
  const said = headers.get("cookie");
  return said === null ? [] : said.split(";").map((pair) => pair.trim());
};

const nameOf = (pair: string): string => pair.split("=", 1)[0] as string;
