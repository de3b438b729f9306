/**
 * The version of azurerm that stacks require and rehearsals install. The bindings (@cdktf/provider-azurerm 14.23.1) were
 * made from 4.55.0; a later 4.x accepts every argument that they write. Facts about the provider name the version in which
 * they were read.
 */
export const azurermVersion = '4.55.0';
