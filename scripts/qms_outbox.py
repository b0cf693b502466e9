"""Send results to the server now, or keep them until it is back."""

import time

import qms_cli as cli
from qms_client import QmsError, UnreachableError
from qms_masking import Masker, secrets_of
from qms_spool import BusyError, folders_with_results, open_spool

# How often an absent server is tried again while the work goes on.
RETRY_EVERY = 15.0
# Arguments that people or programs wrote: no secret goes into the record with them.
_WRITTEN = {"result", "reason", "error_message", "resolution", "source"}


class Outbox:
    """The way of results to the server, over the disk of this machine.

    :param Client client: the connection
    :param Spool spool: where the results are written down first
    :param Terminal terminal: where a person is told
    """

    def __init__(self, client, spool, terminal):
        self.client = client
        self.spool = spool
        self.terminal = terminal
        self.away_until = None
        self.masker = Masker(secrets_of())

    def put(self, method="", *, step=None, local=None, key=None, **arguments):
        """Write a result down and send it, now or when the server is back.

        :param str method: of ``qms.sop.run``; empty when it need not be told
        :param int | None step: number of the step it is about
        :param dict | None local: what to remember of it
        :param str | None key: idempotency key
        :param arguments: further arguments of the method
        :return: the record
        :raise cli.RefusedError: if the server refuses it
        """
        for name in _WRITTEN & arguments.keys():
            arguments[name] = self.masker.text(arguments[name])
        if step and method:
            arguments["step"] = step
        record = self.spool.add(method, arguments, step=step, local=local, key=key)
        self.flush()
        return record

    def flush(self, now=False):
        """Send what is pending; while the server is away, not at every turn.

        :param bool now: try in any case
        :return: whether everything is sent
        :rtype: bool
        """
        if not self.spool.pending():
            return True
        if self.away_until and time.monotonic() < self.away_until and not now:
            return False
        retries = self.client.retries
        # While it is known to be away, one attempt tells enough.
        self.client.retries = 0 if self.away_until else retries
        try:
            refused = self.spool.send()
        except UnreachableError as error:
            if not self.away_until:
                cli.complain(
                    f"warning: {error} The work goes on; results are kept in "
                    f"{self.spool.folder} and sent later."
                )
            self.away_until = time.monotonic() + RETRY_EVERY
            return False
        finally:
            self.client.retries = retries
        if self.away_until:
            self.away_until = None
            self.terminal.say("The server is back: what was kept is sent.", "green")
        for _record, error, path in refused:
            raise cli.RefusedError(f"{error} (What was refused is kept in {path}.)")
        return True

    def leave_traces(self, send=True):
        """Send what can be sent before this program ends; say what is kept.

        :param bool send: whether it makes sense to try
        """
        try:
            if send:
                self.flush(now=True)
        except QmsError as error:
            cli.complain(f"warning: {error}")
        pending = len(self.spool.pending())
        if pending:
            results = "1 result is" if pending == 1 else f"{pending} results are"
            cli.complain(
                f"{results} kept in {self.spool.folder} and sent at the next start of "
                "execute_sop_run.py or collect_evidence.py."
            )


def send_kept(client, args, own):
    """Send what earlier sessions could not.

    :param Client client: the connection
    :param argparse.Namespace args: with ``quiet``
    :param own: ``(run id, name)`` of the folder that this session sends itself
    """
    for run_id, name in folders_with_results(client):
        if (run_id, name) == own:
            continue
        try:
            with open_spool(client, run_id, name) as spool:
                pending = len(spool.pending())
                if not pending:
                    continue
                for _record, error, path in spool.send():
                    cli.complain(f"warning: {error} (It is kept in {path}.)")
                results = "1 result" if pending == 1 else f"{pending} results"
                cli.note(args, f"Sent what was kept of run {run_id}: {results}.")
                if name or spool.is_over():
                    spool.forget_sent()
        except BusyError:
            continue
        except UnreachableError as error:
            cli.warn(args, f"Results of run {run_id} are still kept: {error}")
            return
