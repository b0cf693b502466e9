import {onWillDestroy, onWillUpdateProps, useState} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {formatMinutes} from "@qms_sop/components/minutes/minutes";

const {DateTime} = luxon;

export const CLOCKS = ["response", "mitigation", "resolution"];

const MINUTE = 60000;
const millis = (text) => DateTime.fromISO(text).toMillis();

/**
 * How a clock stands at a moment, from what the server said of it at another one.
 *
 * @param {Object} clock as `_clocks_to_dict(opening=True)` of a run has it
 * @param {String} said when the server said it (RFC 3339)
 * @param {Number} now milliseconds since 1970, by the server's clock
 * @returns {{state: String, remaining: Number|null}} minutes of the time that counts
 */
export function clockAt(clock, said, now) {
    if (!clock.ticks) {
        return {state: clock.state, remaining: clock.remaining_minutes};
    }
    const since = millis(said);
    const passed = clock.open
        ? clock.open
              .map(([begin, end]) => [
                  Math.max(millis(begin), since),
                  Math.min(millis(end), now),
              ])
              .reduce((sum, [begin, end]) => sum + Math.max(end - begin, 0), 0)
        : now - since;
    let state = clock.state;
    if (now >= millis(clock.deadline)) {
        state = "breached";
    } else if (now >= millis(clock.at_risk_at)) {
        state = "at_risk";
    }
    return {state, remaining: clock.remaining_minutes - passed / MINUTE};
}

/**
 * @param {Number} minutes of the time that counts; negative when overdue
 * @returns {String} what a person says: "4 min 10 s left", "1 h 05 min overdue"
 */
export function sayRemaining(minutes) {
    const amount = Math.abs(minutes);
    // 4.2 minutes are 252 s, not 251.999…
    const seconds = Math.floor(amount * 60 + 0.001);
    let text = formatMinutes(Math.floor(amount));
    if (seconds < 60) {
        text = _t("%s s", seconds);
    } else if (seconds < 600) {
        text = _t("%(minutes)s min %(seconds)s s", {
            minutes: Math.floor(seconds / 60),
            seconds: String(seconds % 60).padStart(2, "0"),
        });
    }
    // A plain text: what says the same as a second ago is not drawn again.
    return (minutes < 0 ? _t("%s overdue", text) : _t("%s left", text)).toString();
}

// One timer for all clocks on the screen.
const listeners = new Set();
let timer = null;

function listen(listener) {
    listeners.add(listener);
    timer ||= setInterval(() => listeners.forEach((one) => one()), 1000);
    return () => {
        listeners.delete(listener);
        if (!listeners.size) {
            clearInterval(timer);
            timer = null;
        }
    };
}

/**
 * Keep what a component says about clocks up to date, second by second.
 *
 * The time is the server's: whose machine is wrong by an hour sees the right time left.
 *
 * @param {Component} component has `props.record.data.clocks`
 * @param {Function} say from the clocks and the time, the values to show
 * @returns {Object} those values; reactive, so only what changes is drawn again
 */
export function useClocks(component, say) {
    const state = useState({});
    let said = null;
    let ahead = 0;
    const refresh = (props) => {
        const clocks = props.record.data.clocks;
        if (!clocks) {
            return;
        }
        if (clocks.now !== said) {
            said = clocks.now;
            ahead = millis(said) - Date.now();
        }
        Object.assign(state, say(clocks, Date.now() + ahead, props));
    };
    refresh(component.props);
    onWillUpdateProps(refresh);
    onWillDestroy(listen(() => refresh(component.props)));
    return state;
}
