/**
 * The version of azurerm that stacks require and rehearsals install. The bindings (@cdktf/provider-azurerm 14.23.1) were
 * made from 4.55.0; a later 4.x accepts every argument that they write. Facts about the provider name the version in which
 * they were read.
 */
export const azurermVersion = '4.55.0';

/** Whether a version of azurerm is at least another one. Both are three numbers. */
export function isAtLeast(version: string, from: string): boolean {
  const [one, other] = [version, from].map((text) => text.split('.').map(Number));
  const position = one?.findIndex((part, index) => part !== other?.[index]) ?? -1;
  return position < 0 || (one?.[position] ?? 0) > (other?.[position] ?? 0);
}

/** `5` of `5.2.0`. */
export function majorOf(version: string): number {
  return Number(version.split('.')[0]);
}
