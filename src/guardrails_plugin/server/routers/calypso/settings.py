"""A project's configuration: its packages, scanners, providers and people, as CalypsoAI has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, model_validator

from guardrails_plugin.server.problems import invalid
from guardrails_plugin.server.routers.calypso.catalogue import BuiltIn, built_in, package, packages
from guardrails_plugin.server.routers.calypso.wire import Described, Ref, Wire
from guardrails_plugin.server.scopes import CALYPSO
from guardrails_plugin.server.store.records import Project

__all__ = ["Entry", "EntryPatch", "PackagePatch", "ProviderPatch", "SettingsPatch", "Setup", "allowed", "setup_of"]

Mode = Literal["block", "redact", "audit"]


class Entry(Wire):
    """How a project uses a scanner.

    Attributes:
        version: the version it is to use; the one published last when None.
        mode: ``block`` stops, ``redact`` covers what was found, ``audit`` only reports.
        force: calls cannot switch it off.
        flag_message: told with a finding.
        config: settings of its own: ``threshold`` for built-in scanners, a whole configuration for custom ones.
        users: only for these users; everybody when neither users nor groups are named.
        groups: only for members of these groups.
    """

    id: str
    version: str | None = None
    enabled: bool = True
    mode: Mode = "block"
    force: bool = False
    flag_message: str | None = None
    config: dict[str, JsonValue] | None = None
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    @property
    def blocking(self) -> bool:
        """Whether a finding stops the content."""
        return self.mode == "block"


class EntryPatch(Wire):
    """A change of an entry; what is not given stays. ``version: null`` goes back to the version published last."""

    id: Ref
    version: Ref | None = None
    enabled: bool | None = None
    blocking: bool | None = None
    mode: Mode | None = None
    force: bool | None = None
    flag_message: Described | None = None
    config: dict[str, JsonValue] | None = None
    users: Annotated[list[Ref], Field(max_length=1000)] | None = None
    groups: Annotated[list[Ref], Field(max_length=1000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _just_an_id(cls, data: Any) -> Any:
        return {"id": data} if isinstance(data, str) else data

    def applied(self, old: Entry) -> Entry:
        """The entry after the change."""
        given = self.model_dump(exclude_none=True, exclude={"blocking"})
        if "version" in self.model_fields_set:
            given["version"] = self.version
        if self.mode is None and self.blocking is not None:
            given["mode"] = "block" if self.blocking else "audit" if old.mode == "block" else old.mode
        return Entry.model_validate({**old.model_dump(), **given})


class PackagePatch(Wire):
    """A package and whether its scanners run."""

    id: Ref
    enabled: bool = True

    @model_validator(mode="before")
    @classmethod
    def _just_an_id(cls, data: Any) -> Any:
        return {"id": data} if isinstance(data, str) else data


class ProviderPatch(Wire):
    """A provider and whether the project may use it."""

    id: Ref
    enabled: bool = True
    default: bool = False

    @model_validator(mode="before")
    @classmethod
    def _just_an_id(cls, data: Any) -> Any:
        return {"id": data} if isinstance(data, str) else data


class SettingsPatch(Wire):
    """A change of the configuration."""

    packages: Annotated[list[PackagePatch], Field(max_length=100)] | None = None
    scanners: Annotated[list[EntryPatch], Field(max_length=1000)] | None = None
    providers: Annotated[list[ProviderPatch], Field(max_length=100)] | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """The configuration of one project.

    Attributes:
        packages: id -> enabled, of the packages it has.
        scanners: entries that were made for it, by id.
        providers: id -> (enabled, default); empty: the service's own.
        admins: user ids.
        members: user ids.
    """

    packages: Mapping[str, bool]
    scanners: Mapping[str, Entry] = field(default_factory=dict)
    providers: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    admins: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    status: str = "live"

    def entries(self) -> dict[str, Entry]:
        """Every entry: those of the packages, then the project's own."""
        found: dict[str, Entry] = {}
        for package_id, enabled in self.packages.items():
            made = package(package_id)
            for scanner in made.scanners if made else ():
                entry = self.scanners.get(scanner.id) or _fresh(scanner)
                found[scanner.id] = entry if enabled else entry.model_copy(update={"enabled": False})
        return {**found, **{key: entry for key, entry in self.scanners.items() if key not in found}}

    def entry(self, scanner_id: str) -> Entry:
        """The entry of a scanner, as a change finds it; a new one is enabled."""
        scanner = built_in(scanner_id)
        return self.scanners.get(scanner_id) or (_fresh(scanner) if scanner else Entry(id=scanner_id))

    def with_entries(self, patches: Iterable[EntryPatch]) -> Setup:
        """With entries changed or added.

        Raises:
            ApiError: 400, a scanner that only audits is to block, or what cannot be covered is to be redacted.
        """
        scanners = dict(self.scanners)
        for patch in patches:
            entry = patch.applied(self.entry(patch.id))
            scanners[patch.id] = allowed(entry, built_in(patch.id))
        return self._but(scanners=scanners)

    def without(self, scanner_ids: Iterable[str]) -> Setup:
        """Without these scanners."""
        gone = set(scanner_ids)
        return self._but(scanners={key: entry for key, entry in self.scanners.items() if key not in gone})

    def with_packages(self, patches: Iterable[PackagePatch]) -> Setup:
        """With packages added or switched."""
        return self._but(packages={**self.packages, **{patch.id: patch.enabled for patch in patches}})

    def without_package(self, package_id: str) -> Setup:
        """Without a package and what was set about its scanners."""
        made = package(package_id)
        rest = {key: enabled for key, enabled in self.packages.items() if key != package_id}
        return self._but(packages=rest).without(scanner.id for scanner in (made.scanners if made else ()))

    def with_providers(self, patches: Iterable[ProviderPatch]) -> Setup:
        """With providers added or switched; the first one is the default unless another is named."""
        providers = dict(self.providers)
        for patch in patches:
            default = patch.default or not any(was for _, was in providers.values())
            if default:
                providers = {key: (enabled, False) for key, (enabled, _) in providers.items()}
            providers[patch.id] = (patch.enabled, default)
        return self._but(providers=providers)

    def without_provider(self, provider_id: str) -> Setup:
        """Without a provider."""
        return self._but(providers={key: value for key, value in self.providers.items() if key != provider_id})

    def with_people(self, admins: Iterable[str] | None, members: Iterable[str] | None) -> Setup:
        """With these people in place of those before, where given."""
        return self._but(
            admins=self.admins if admins is None else tuple(admins),
            members=self.members if members is None else tuple(members),
        )

    def with_status(self, status: str | None) -> Setup:
        """With a deployment status."""
        return self if status is None else self._but(status=status)

    def stored(self, project: Project) -> dict[str, Any]:
        """The project's configuration with this one in it; other products' parts stay."""
        own = {
            "packages": dict(self.packages),
            "scanners": [entry.model_dump(mode="json") for entry in self.scanners.values()],
            "providers": {key: list(value) for key, value in self.providers.items()},
            "admins": list(self.admins),
            "members": list(self.members),
            "status": self.status,
        }
        return {**project.config, CALYPSO: own}

    def _but(self, **changes: Any) -> Setup:
        return replace(self, **changes)


def setup_of(project: Project) -> Setup:
    """A project's configuration; one that never had any has the packages that everybody has from the start."""
    own = project.config.get(CALYPSO)
    if own is None:
        return Setup({made.id: True for made in packages() if made.default})
    entries = [Entry.model_validate(entry) for entry in own["scanners"]]
    return Setup(
        packages=own["packages"],
        scanners={entry.id: entry for entry in entries},
        providers={key: (bool(enabled), bool(default)) for key, (enabled, default) in own["providers"].items()},
        admins=tuple(own["admins"]),
        members=tuple(own["members"]),
        status=own["status"],
    )


def _fresh(scanner: BuiltIn) -> Entry:
    return Entry(id=scanner.id, enabled=scanner.on, mode="audit" if scanner.audits else "block")


def allowed(entry: Entry, scanner: BuiltIn | None) -> Entry:
    """The entry, when a built-in scanner can be used so; custom ones are the caller's to check.

    Raises:
        ApiError: 400, a mode or setting that the scanner does not have.
    """
    if scanner is None:
        return entry
    if scanner.audits and entry.mode != "audit":
        raise invalid(f"scanner {scanner.name!r}: mode {entry.mode!r} is not possible, it only audits.")
    if entry.mode == "redact" and not scanner.covers:
        raise invalid(f"scanner {scanner.name!r}: mode 'redact' is not possible; valid: audit, block.")
    if entry.config is not None and set(entry.config) - {"threshold"}:
        raise invalid(f"scanner {scanner.name!r}: config: valid keys: threshold.")
    threshold = (entry.config or {}).get("threshold")
    if threshold is not None and (not isinstance(threshold, (int, float)) or isinstance(threshold, bool)):
        raise invalid(f"scanner {scanner.name!r}: config.threshold: expected 0 to 1.")
    if isinstance(threshold, (int, float)) and not 0 <= threshold <= 1:
        raise invalid(f"scanner {scanner.name!r}: config.threshold: expected 0 to 1.")
    return entry
