import {Component} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";

/** Show one figure, what it is made of, and what it was before. */
export class FigureCard extends Component {
    static template = "qms_incident.FigureCard";
    static props = {
        name: String,
        definition: String,
        // What is shown large; "–" when nothing is known
        value: String,
        // Says what is known of it, or why nothing is
        note: String,
        onOpen: {type: Function, optional: true},
        // {text, rose, fell, better: true | false | null}
        before: {type: [Object, {value: null}], optional: true},
        // [{text, onOpen}] of parts of the figure
        parts: {type: Array, optional: true},
    };
    static defaultProps = {parts: [], before: null};

    get tone() {
        const {better} = this.props.before;
        if (better === null) {
            return "text-muted";
        }
        return better ? "text-success" : "text-danger";
    }

    /** Say in words what the colour says. */
    get verdict() {
        const {better} = this.props.before;
        if (better === null) {
            return "";
        }
        return better ? _t("better") : _t("worse");
    }
}
