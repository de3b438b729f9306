/** Names that become host names: unique in all of Azure, and not everybody's to take. */

import { general } from '../refusals/general.ts';
import type { Azure } from './context.ts';

/**
 * Words no resource with an address of its own may be called, or contain.
 * https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-reserved-resource-name
 */
const reserved = new Set(
  'access azure bing bizspark biztalk cortana directx dotnet dynamics excel exchange forefront groove hololens hyperv kinect lync msdn o365 office office365 onedrive onenote outlook powerpoint sharepoint skype visio visualstudio word xbox'.split(
    ' ',
  ),
);

/** @throws ArmError 400 ReservedResourceName */
export function refuseReservedName(name: string): void {
  const plain = name.toLowerCase();
  const taken = reserved.has(plain) || /microsoft|windows/.test(plain) || /^(?:login|xbox)/.test(plain);
  if (taken) throw general.reservedResourceName(name);
}

/** Names that somebody else in Azure has, as `postgres/name` or `vault/name`. */
export function isTakenElsewhere(azure: Azure, kind: 'postgres' | 'vault', name: string): boolean {
  return azure.memory.map<true>('takenNames').has(`${kind}/${name.toLowerCase()}`);
}
