/** Names that Azure keeps for itself. */

/** Whole names that a resource with a host name of its own must not have. */
const words = new Set(
  (
    'access app_browsers app_code app_data app_globalresources app_localresources app_themes app_webreferences azure ' +
    'bing bizspark biztalk cortana directx dotnet dynamics excel exchange forefront groove hololens hyperv kinect lync ' +
    'msdn o365 office office365 onedrive onenote outlook powerpoint sharepoint skype visio visualstudio web.config xbox'
  ).split(' '),
);

export const reservedWordsSource =
  'https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-reserved-resource-name';

/** The reserved part of a name that becomes a host name, in lower case. Undefined if the name is free. */
export function reservedWordIn(name: string): string | undefined {
  const plain = name.toLowerCase();
  if (words.has(plain)) return plain;
  const anywhere = ['microsoft', 'windows'].find((word) => plain.includes(word));
  return anywhere ?? (plain.startsWith('login') ? 'login' : undefined);
}

/**
 * Names that Azure refuses for the administrator of password login. Names that begin with `pg_` are refused as well.
 * https://learn.microsoft.com/rest/api/postgresql/servers/create-or-update
 */
export const reservedAdministrators: readonly string[] = [
  'azure_superuser',
  'azure_pg_admin',
  'admin',
  'administrator',
  'root',
  'guest',
  'public',
];

/**
 * Databases that every server has. Azure creates no second one of the name, and names of resources have no case.
 * https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-servers
 */
export const builtInDatabases: readonly string[] = [
  'azure_maintenance',
  'azure_sys',
  'postgres',
  'template0',
  'template1',
];
