"""What help and documents say of the routes of logins."""

from __future__ import annotations

from typing import Final

from kms_http.describing.about import About, Texts

APPROLE: Final = "Logins of programs: a role id names the role, a secret id proves the right to it."
CERT: Final = "Logins by the certificate that a client shows the listener."
JWT: Final = "Logins by signed tokens of an issuer, and by its page in a browser."
KUBERNETES: Final = "Logins of service accounts of a Kubernetes cluster, by their tokens."
USERPASS: Final = "Logins by a name and a password."

APPROLE_TEXTS: Final[Texts] = {
    "login": About("Log in by a role id and a secret id.", "", {}, ("role_id",)),
    "role": About("List the roles."),
    "role/{role_name}": About("Read, write and delete a role."),
    "role/{role_name}/role-id": About("Read or set the role id."),
    "role/{role_name}/local-secret-ids": About("Whether secret ids are of one cluster alone."),
    "role/{role_name}/policies": About("The policies of a role's tokens."),
    "role/{role_name}/period": About("The period of a role's tokens."),
    "role/{role_name}/token-ttl": About("How long a role's tokens live."),
    "role/{role_name}/token-max-ttl": About("How long a role's tokens live at most."),
    "role/{role_name}/token-num-uses": About("How many requests a role's tokens allow."),
    "role/{role_name}/token-bound-cidrs": About("From where a role's tokens may be used."),
    "role/{role_name}/bind-secret-id": About("Whether a login by the role needs a secret id."),
    "role/{role_name}/secret-id-num-uses": About("How many logins a secret id allows."),
    "role/{role_name}/secret-id-ttl": About("How long a secret id is good."),
    "role/{role_name}/secret-id-bound-cidrs": About("From where logins by secret ids may come."),
    "role/{role_name}/bound-cidr-list": About("From where logins may come; the older name."),
    "role/{role_name}/secret-id": About("Make a secret id, or list the accessors of all."),
    "role/{role_name}/custom-secret-id": About("Keep a secret id of one's own.", "", {}, ("secret_id",)),
    "role/{role_name}/secret-id/lookup": About("What a secret id is.", "", {}, ("secret_id",)),
    "role/{role_name}/secret-id/destroy": About("Destroy a secret id."),
    "role/{role_name}/secret-id-accessor/lookup": About(
        "What the secret id of an accessor is.", "", {}, ("secret_id_accessor",)
    ),
    "role/{role_name}/secret-id-accessor/destroy": About("Destroy the secret id of an accessor."),
    "tidy/secret-id": About("Remove secret ids that have ended."),
}
_CERT: Final = {"name": "Name of the entry."}

CERT_TEXTS: Final[Texts] = {
    "config": About("Settings of the method."),
    "certs": About("List the entries that certificates are compared with."),
    "certs/{name}": About("Read, write and delete an entry that certificates are compared with.", "", _CERT),
    "crls": About("List the lists of revoked certificates."),
    "crls/{name}": About("Read, write and delete a list of revoked certificates.", "", {"name": "Name of the list."}),
    "login": About("Log in by the certificate of the connection.", "", _CERT),
}
JWT_TEXTS: Final[Texts] = {
    "config": About("The issuer, and how its tokens are verified."),
    "role": About("List the roles."),
    "role/{name}": About("Read, write and delete a role.", "", {"name": "Name of the role."}),
    "login": About("Log in by a signed token.", "", {}, ("jwt",)),
    "oidc/auth_url": About("Begin a login in a browser: where to send it.", "", {}, ("redirect_uri",)),
    "oidc/callback": About("End a login in a browser, with what the issuer gave it."),
}
KUBERNETES_TEXTS: Final[Texts] = {
    "config": About("The cluster, and how its tokens are reviewed."),
    "role": About("List the roles."),
    "role/{name}": About("Read, write and delete a role.", "", {"name": "Name of the role."}),
    "login": About("Log in by the token of a service account.", "", {}, ("role", "jwt")),
}
USERPASS_TEXTS: Final[Texts] = {
    "login/{username}": About("Log in.", "", {}, ("password",)),
    "users": About("List the users."),
    "users/{username}": About("Read, write and delete a user."),
    "users/{username}/password": About("Change a user's password.", "", {}, ("password",)),
    "users/{username}/policies": About("Change the policies of a user's tokens."),
}
