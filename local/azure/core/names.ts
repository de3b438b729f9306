/** Names that become host names are unique in all of Azure, and some words are reserved. */

import { general } from '../refusals/general.ts';
import type { Azure } from './context.ts';

/**
 * Reserved words, which the name of a resource with its own address must not be or contain.
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

/** Whether a name, `postgres/name` or `vault/name`, belongs to another customer of Azure. */
export function isTakenElsewhere(azure: Azure, kind: 'postgres' | 'vault', name: string): boolean {
  return azure.memory.map<true>('takenNames').has(`${kind}/${name.toLowerCase()}`);
}
