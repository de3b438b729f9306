/** Periods in ISO 8601, as far as Azure's settings use them: years, months, weeks and days. */
export interface Duration {
  readonly years: number;
  readonly months: number;
  readonly days: number;
}

/** The duration. Undefined if the text is not a duration, is empty, or has hours or less. */
export function parseDuration(text: string): Duration | undefined {
  const match = /^P(?=\d)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?$/.exec(text);
  if (!match) return undefined;
  const [years = 0, months = 0, weeks = 0, days = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return { years, months, days: weeks * 7 + days };
}

/** Days if every year and month of the duration is as short as possible. */
export function shortestDays(duration: Duration): number {
  return duration.years * 365 + duration.months * 28 + duration.days;
}

/** Days if every year and month of the duration is as long as possible. */
export function longestDays(duration: Duration): number {
  return duration.years * 366 + duration.months * 31 + duration.days;
}
