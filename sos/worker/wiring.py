"""Where a worker is put together: the only place that constructs concrete classes."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from ..admin.api import AdminApi
from ..admin.call import Services as AdminServices
from ..admin.observing import Inside
from ..admin.scrape.api import Metrics
from ..base.pages import FROZEN, Pages
from ..base.touch import Touches
from ..config.load import variables
from ..domain.errors import DriveFault
from ..drive.formation import Formation
from ..erasure.buffers import BufferPool
from ..erasure.heal import Heal
from ..erasure.owner import Owner
from ..erasure.reads import OpenReads
from ..erasure.set import ErasureSet, Finding, SetIdentity, Submit, shard_rebuilder
from ..erasure.view import SetView
from ..erasure.writer import SetWriter, WriterLimits, WriterPools, make_drives
from ..http.forwarded import Proxies
from ..http.limits import Limits
from ..http.reply_head import server_headers
from ..http.sanic_app import Server, make_app, serve
from ..mesh.client import MeshClient
from ..mesh.server import MeshServer, Topic
from ..meta.proposals import AnyProposal
from ..meta.records import BucketRecord
from ..meta.transitions import Decision, decide
from ..meta.walk import View
from ..placement.parity import Parities, parities
from ..placement.sets import KeyMap, owned_by, owner_of
from ..s3.auth.lookup import keys_of
from ..s3.authorise import authorise_with, ids_by, known_by
from ..s3.call import Services
from ..s3.call import Settings as SurfaceSettings
from ..s3.dispatch import Dispatcher
from ..services.access import Access
from ..services.buckets import Buckets
from ..services.configuration import Configuration
from ..services.decisions.asking import DecisionsTopic
from ..services.decisions.insight import Insight
from ..services.decisions.recorder import Decisions
from ..services.decisions.simulator import Simulator
from ..services.fleet import TOPIC_DECISIONS, TOPIC_QUOTA, TOPIC_SPEED, Fleet
from ..services.identity import certificates
from ..services.identity.identity import Identity
from ..services.identity.ldap import Ldap
from ..services.identity.ldap_login import LdapLogin
from ..services.identity.ldap_refresh import LdapRefresh
from ..services.identity.openid_refresh import OpenIdRefresh
from ..services.identity.vault import Root, salt_of
from ..services.listing import Listing
from ..services.multipart import Multipart
from ..services.objects import Objects
from ..services.pools import Claims, Pools
from ..services.purge import Purge
from ..services.quota_keeper import Keeper, QuotaTopic, RemoteKeeper
from ..services.quotas import Limits as QuotaLimits
from ..services.quotas import Quotas
from ..services.raw_rows import RawRows
from ..services.speed import SpeedTopic
from ..services.unfinished import Unfinished
from ..services.usage import Usage
from .cluster import MachineFacts
from .context import WorkerContext
from .drives import OpenAs, SetDrives
from .health import SetHealth
from .jobs import Jobs
from .live_settings import LiveSettings
from .memory import Trimmer, bound_heap
from .observing import Observers, endpoint_of
from .proofs import make_sts
from .submit import (
    TOPIC_CLAIM,
    TOPIC_FAULT,
    TOPIC_SUBMIT,
    TOPIC_SWEEP,
    ClaimTopic,
    Fault,
    FaultTopic,
    RemoteOwner,
    SubmitTopic,
    Successions,
    SweepTopic,
    claim_through,
    take_finding,
)
from .tls import Certificates, client_context, has_certificates

log = logging.getLogger("sos.worker")

#: Threads that receive, hash, encode and write uploads; they wait for the disk more than they compute.
PUT_THREADS = 8
#: Threads that verify and send replies; with a core per worker more of them only switch.
GET_THREADS = 2


class Worker:
    """Everything that runs in one worker. Built by :func:`start`, taken apart by ``drain``."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self.loop = asyncio.get_running_loop()
        self.settings = context.settings
        self.pages: Pages = context.pages
        formation: Formation = context.formation
        self.formation = formation
        bound_heap()
        self.put_pool = ThreadPoolExecutor(PUT_THREADS, "put")
        self.get_pool = ThreadPoolExecutor(GET_THREADS, "get")
        self.work_pool = ThreadPoolExecutor(2, "work")
        # apart from the listings: a drive that hangs in background work must not hold them up
        self.back_pool = ThreadPoolExecutor(2, "back")
        self.reads = OpenReads(self.pages, context.slot)
        self.touches = Touches(self.pages, context.slot)
        self.locks = dict(context.locks)
        share = self.settings.buffers_bytes_max // context.workers
        self.writer_pools = WriterPools(BufferPool(share), self.put_pool)
        self.peers = [MeshClient(address) for address in context.mesh_addresses]
        self.fleet = Fleet(self.peers, context.slot)
        self.owners: dict[int, Owner] = {}
        self.heals: list[Heal] = []
        self.drives: list[SetDrives] = []
        #: as they were when the worker started, and for new objects now
        self.classes: list[Parities] = []
        self.live_classes: list[Parities] = []
        self.sets: list[ErasureSet] = []
        self.maps: list[KeyMap] = []
        self.servers: list[Server] = []
        directory = self.settings.certs_dir
        self.certificates = Certificates(directory) if has_certificates(directory) else None
        self._build_sets()
        self._build_services()

    # -- sets ----------------------------------------------------------------------------------------

    def _build_sets(self) -> None:
        deployment = bytes.fromhex(self.formation.deployment.replace("-", ""))
        number = 0
        for pool, sets in enumerate(self.formation.layout):
            numbers = range(number, number + len(sets))
            self.maps.append(KeyMap(deployment, numbers))
            for number, paths in zip(numbers, sets, strict=True):
                self.sets.append(self._build_set(number, pool, paths))
            number = numbers.stop

    def _build_set(self, number: int, pool: int, paths: list[str]) -> ErasureSet:
        owned = number in owned_by(self.context.slot, self.context.workers, number + 1)
        classes = parities(len(paths), self.settings.storage_class_standard, self.settings.storage_class_rrs)
        drives = SetDrives(number, paths, self.pages, self._open_as(number, pool, owned), self.locks)
        view = SetView(number, drives.engines, self.pages, turn=self.context.slot)
        self.drives.append(drives)
        self.classes.append(classes)
        self.live_classes.append(classes)
        submit = self._own(number, drives, view, classes) if owned else self._remote(number).submit
        writer = SetWriter(
            number,
            make_drives(drives.engines, view.usable, partial(self._drive_failed, number)),
            self.context.slot,
            self.formation.key,
            self.writer_pools,
            WriterLimits(inline_bytes_max=self.settings.inline_bytes_max),
        )
        identity = SetIdentity(number, pool, len(paths), self.formation.key)

        def geometry(storage_class: str) -> tuple[int, int]:
            parity = self.live_classes[number].of(storage_class)
            return len(paths) - parity, parity

        return ErasureSet(identity, view, writer, submit, geometry, self.reads, self._shard_bad, self._found)

    def _open_as(self, number: int, pool: int, owned: bool) -> OpenAs:
        layout = self.formation.layout
        place = (pool, number - sum(len(sets) for sets in layout[:pool]))
        first = sum(len(drives.paths) for drives in self.drives)
        return OpenAs(owned, self.settings.reserve_bytes or None, self.formation.deployment, place, self.touches, first)

    def _own(self, number: int, drives: SetDrives, view: SetView, classes: Parities) -> Submit:
        owner = Owner(
            number,
            drives.engines,
            self.pages,
            self._decide,
            self._bucket_of,
            len(drives.paths) - classes.standard,
            classes.standard,
            prepare=self._prepare,
            reopen=drives.reopen,
            rebuild_inline=shard_rebuilder(view, self.formation.key),
        )
        self.owners[number] = owner
        self.heals.append(Heal(owner, view, self.formation.key, self.pages))
        return owner.submit

    def _remote(self, number: int) -> RemoteOwner:
        return RemoteOwner(number, self.peers[owner_of(number, self.context.workers)])

    async def _prepare(self) -> None:
        await self.limits.prepare()

    def _decide(self, view: View, bucket: BucketRecord | None, proposal: AnyProposal, order: int, now_ns: int) -> Decision:
        return decide(view, bucket, proposal, order, now_ns, term=self.limits.term(bucket))

    def _bucket_of(self, bucket_id: int) -> BucketRecord | None:
        return self.buckets.decide_record(bucket_id)

    def _drive_failed(self, number: int, drive: int, error: DriveFault) -> None:
        """A stager of this worker found a drive failing: its owner takes it out of the mask."""
        if number not in self.owners:
            self.drives[number].failed(drive)
        self._tell(number, drive, Finding.FAILED, error)

    def _soon(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(call)

    def _found(self, number: int, drive: int, finding: Finding, error: DriveFault) -> None:
        """A reader found a drive failing, in any thread."""
        self.loop.call_soon_threadsafe(self._tell, number, drive, finding, error)

    def _tell(self, number: int, drive: int, finding: Finding, error: DriveFault) -> None:
        log.warning("set %d, drive %s is %s: %s %s", number, self.drives[number].paths[drive], finding, error, error.detail)
        fault = Fault(number, drive, str(error) or error.name, finding)
        owner = self.owners.get(number)
        if owner is not None:
            take_finding(owner, fault)
        else:
            self.jobs.tell_fault(fault)

    def _shard_bad(self, number: int, drive: int, data_id: bytes) -> None:
        log.warning("set %d, drive %s: bad shard of %s", number, self.drives[number].paths[drive], data_id.hex())

    # -- services ------------------------------------------------------------------------------------

    def _build_services(self) -> None:
        self._build_data()
        self._build_identity()
        self._build_jobs()
        self._build_mesh()
        self._build_surface()

    def _build_data(self) -> None:
        """Buckets, objects and what bounds them."""
        workers = self.context.workers
        self.claims = Claims()
        claim = claim_through(self.claims, self.context.slot, self.peers, lambda number: owner_of(number, workers))
        self.pools = Pools(self.sets, self.maps, claim if len(self.maps) > 1 else None)
        self.buckets = Buckets(self.pools, self.pages)
        self.limits = QuotaLimits(self.pools, self.buckets, self.pages)
        # the worker of set 0 grants quotas to all
        self.keeper = Keeper(self.sets, self.limits, self.pages) if 0 in self.owners else None
        self.grants = self.keeper or RemoteKeeper(self.peers[owner_of(0, workers)])
        quotas = Quotas(self.pools, self.limits, self.grants, self.pages, self.context.slot)
        self.objects = Objects(self.pools, self.get_pool, quotas)
        self.listing = Listing(self.sets, self.work_pool)
        self.multipart = Multipart(self.pools, self.objects, self.listing)
        self.purge = Purge(self.buckets, self.objects, self.multipart, self.listing)

    def _build_identity(self) -> None:
        """Who there is, who vouches for whom, and what was decided."""
        self.identity = Identity(self.pools.system, self.pages, self._root(), root_access=self.settings.root_access)
        self.configuration = Configuration(self.identity.realm, self.pages, self.settings, variables(os.environ))
        self.sts = make_sts(self.identity, self.configuration, lambda: self.context.settings)
        self.configuration.watch(certificates.SUBSYSTEM, self._ask_clients)
        self.ldap = Ldap(self.identity, self.configuration, lambda: client_context(self.settings.certs_dir))
        self.access = Access()
        self.decisions = Decisions(self.context.slot)

    def _build_jobs(self) -> None:
        """What runs beside the requests."""
        workers = self.context.workers
        looks = [drives.follow for drives in self.drives if drives.number not in self.owners]
        for drives in self.drives:
            # what was opened is taken at once; nothing waits for it when the loop is gone
            drives.opened = partial(self._soon, drives.follow) if drives.number not in self.owners else drives.opened
        looks += [owner.leave_suspects for owner in self.owners.values()]
        looks += [self.configuration.look, Successions(self.pages, self.peers).look]
        first = 0 in self.owners
        self.jobs = Jobs(
            self.sets,
            list(self.owners),
            [self.peers[owner_of(one.number, workers)] for one in self.sets],
            self.pages,
            self.back_pool,
            self.context.slot,
            looks,
            self.heals,
            self._reader_check,
            Unfinished(self.buckets, self.pools).step if first else None,
            [LdapRefresh(self.ldap, self.identity).run, OpenIdRefresh(self.sts.openid, self.identity).run]
            if first
            else [],
        )
        self.trimmer = Trimmer(self._release_pages, self._trim_buffers, self._requests, self._buffers)
        for owner in self.owners.values():
            owner.after_step = self._step_done

    def _build_mesh(self) -> None:
        """What the other workers may ask this one."""
        self.observers = Observers(self.pages.board, self.fleet, endpoint_of(self.context))
        topics: dict[int, Topic] = {
            TOPIC_SUBMIT: SubmitTopic({number: owner.submit for number, owner in self.owners.items()}),
            TOPIC_CLAIM: ClaimTopic(self.claims),
            TOPIC_FAULT: FaultTopic(self.owners),
            TOPIC_SWEEP: SweepTopic(self.jobs.sweep),
            TOPIC_SPEED: SpeedTopic(self.buckets, self.objects, self.put_pool, self.get_pool),
            TOPIC_QUOTA: QuotaTopic(self.grants),
            TOPIC_DECISIONS: DecisionsTopic(self.decisions),
        }
        self.mesh = MeshServer(self.observers.topics(topics))

    def _build_surface(self) -> None:
        """S3, the admin API and the pages of metrics."""
        self.surface = SurfaceSettings(
            region=self.settings.region,
            domains=self.settings.domains,
            host_id=dict(server_headers(self.formation.deployment)).get("X-Amz-Id-2", ""),
            origins=self.settings.cors_allow_origin,
        )
        health = SetHealth(self.sets, self.classes)
        admin = self._admin(health)
        self.dispatcher = Dispatcher(
            self._services(),
            keys_of(self.identity.directory, time.time_ns),
            self.surface,
            health,
            authorise_with(self.access, self.buckets),
            self.identity.wait,
            AdminApi(admin),
            self.configuration.follow,
            self.observers.watch,
            Metrics(admin, lambda: self.settings.prometheus_auth == "public"),
            lambda: self.pages.generation(FROZEN) > 0,
        )
        self.live = LiveSettings(
            self.configuration, self.identity.directory, self.dispatcher, self.sets, self.live_classes
        )
        self.live.apply()

    def _services(self) -> Services:
        return Services(
            self.buckets,
            self.objects,
            self.multipart,
            self.listing,
            self.purge,
            known_by(self.identity.directory),
            self.sts,
            self.decisions,
            ldap=LdapLogin(self.ldap, self.sts),
            ids=ids_by(self.identity.directory),
        )

    def _admin(self, health: SetHealth) -> AdminServices:
        secure = self.certificates is not None
        machine = MachineFacts(
            self.context, self.sets, self.drives, self.live_classes, health, secure, self.configuration.settings
        )
        usage = Usage(self.sets)
        return AdminServices(
            self.identity,
            self.access,
            self.buckets,
            usage,
            machine,
            self.configuration.settings,
            self.configuration,
            observing=self.observers.observing(Inside(self.buckets, self.listing, self.purge, RawRows(self.sets).of)),
            ldap=self.ldap,
            openid=self.sts.openid,
            decisions=self.decisions,
            insight=Insight(Simulator(self.identity, self.access, self.buckets), self.fleet),
        )

    def _root(self) -> Root:
        """The root credentials as they were at the start of the server: a reload does not change them."""
        settings = self.settings
        return Root(
            settings.root_user,
            settings.root_password,
            salt_of(self.formation.key),
            self.context.root_key,
            settings.root_user_old,
            settings.root_password_old,
        )

    def _ask_clients(self) -> None:
        """Whether client certificates are asked for, as the configuration has it."""
        if self.certificates is not None:
            self.certificates.ask_clients(certificates.asked_for(self.configuration.enabled(certificates.SUBSYSTEM)))

    def _reader_check(self) -> None:
        for number in self.owners:
            self.drives[number].reader_check()

    def _release_pages(self, volumes: bool) -> None:
        for drives in self.drives:
            drives.release_pages(volumes)

    def _trim_buffers(self) -> None:
        if not self.writer_pools.buffers.used:
            self.writer_pools.buffers.trim()

    def _buffers(self) -> int:
        return self.writer_pools.buffers.held

    def _step_done(self) -> None:
        self.trimmer.look()

    def _requests(self) -> int:
        return sum(server.shell.requests for server in self.servers)

    # -- life ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take over the owned sets, then serve."""
        await asyncio.gather(*(owner.start() for owner in self.owners.values()))
        await self.mesh.start(self.context.mesh_socket)
        await self.jobs.start()
        await self.identity.start()
        self.configuration.look()
        self._ask_clients()
        for sock in self.context.api_sockets:
            app = make_app(
                self.dispatcher.handle,
                self.put_pool,
                self.get_pool,
                server_headers(self.formation.deployment),
                self._limits(),
                proxies=Proxies(self.settings.trusted_proxies),
            )
            self.servers.append(await serve(app, sock, self.certificates.context if self.certificates else None))
        self.trimmer.start()

    def _limits(self) -> Limits:
        settings = self.settings
        return Limits(
            connections_max=settings.connections_max,
            head_s=settings.head_timeout_s,
            idle_s=settings.idle_timeout_s,
            body_idle_s=settings.body_timeout_s,
            reply_idle_s=settings.body_timeout_s,
        )

    async def drain(self, timeout_s: float) -> None:
        """Finish what is under way, hand the sets over, close the drives."""
        self.dispatcher.stopping = True
        await asyncio.gather(*(server.drain(timeout_s) for server in self.servers))
        self.trimmer.stop()
        self.observers.stop()
        await self.identity.stop()
        await self.jobs.stop()
        self.ldap.close()
        if self.keeper is not None:
            await self.keeper.stop()
        await self.mesh.stop()
        for owner in self.owners.values():
            await owner.stop()
        for peer in self.peers:
            peer.close()
        for one in self.sets:
            one.writer.close()
        for pool in (self.put_pool, self.get_pool, self.work_pool, self.back_pool):
            pool.shutdown(wait=False, cancel_futures=True)
        for drives in self.drives:
            drives.close()

    async def reload(self) -> None:
        """Take over new certificates; other settings that can change while serving are read where they are used."""
        self.settings = self.context.settings
        self.configuration.reload(self.settings, variables(os.environ))
        self.ldap.forget()  # trusts what is in the directory of certificates now
        if self.certificates is not None:
            self.certificates.reload()


async def start(context: WorkerContext) -> Worker:
    """The worker of the product; see ``sos.worker.context.Start``."""
    worker = Worker(context)
    await worker.start()
    log.info("worker %d serves (pid %d)", context.slot, os.getpid())
    return worker
