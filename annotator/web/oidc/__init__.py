"""Logging in elsewhere, by OpenID Connect: the authorization code flow with PKCE. Needs the extra ``oidc``."""
