/**
 * Arguments that azurerm 5 names otherwise than 4, whose names the bindings have.
 *
 * Source: `internal/services/` of https://github.com/hashicorp/terraform-provider-azurerm, v4.81.0 beside v5.2.0.
 */

type Written = Readonly<Record<string, unknown>>;

/** How a type's arguments are written for azurerm 5. Undefined leaves an argument out. */
const ofFive: Readonly<Record<string, (written: Written) => Written>> = {
  azurerm_log_analytics_workspace: ({
    internet_ingestion_enabled: ingestion,
    internet_query_enabled: query,
  }) => ({
    internet_ingestion_enabled: undefined,
    internet_query_enabled: undefined,
    internet_ingestion_access_type: ingestion === false ? 'Disabled' : 'Enabled',
    internet_query_access_type: query === false ? 'Disabled' : 'Enabled',
  }),
  azurerm_private_dns_zone_virtual_network_link: ({ private_dns_zone_name: name }) => ({
    private_dns_zone_name: undefined,
    resource_group_name: undefined,
    // The same zone by its id: created or adopted, the name is a reference to it.
    private_dns_zone_id: String(name).replace(/\.name\}$/, '.id}'),
  }),
  azurerm_subnet: ({ service_endpoints: services }) =>
    Array.isArray(services)
      ? { service_endpoints: undefined, service_endpoint: services.map((service) => ({ service })) }
      : {},
};

interface Document {
  readonly resource?: Readonly<Record<string, Readonly<Record<string, Written>>>>;
}

/** The document of a stack with its arguments as the provider's major version names them. */
export function writtenForMajor<Given extends Document>(document: Given, major: number): Given {
  if (major < 5) return document;
  const resource = Object.entries(document.resource ?? {}).map(([type, blocks]) => {
    const rewrite = ofFive[type];
    if (!rewrite) return [type, blocks];
    const rewritten = Object.entries(blocks).map(([name, block]) => {
      const arguments_ = Object.entries({ ...block, ...rewrite(block) });
      return [name, Object.fromEntries(arguments_.filter(([, value]) => value !== undefined))];
    });
    return [type, Object.fromEntries(rewritten)];
  });
  return { ...document, resource: Object.fromEntries(resource) };
}
