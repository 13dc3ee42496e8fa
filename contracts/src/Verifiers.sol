// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Text} from "./Text.sol";
import "./Errors.sol";

/// @title Which identity providers count, and how their tokens are read
/// @notice Name, issuer, id claim, session claim and case rule never change, not even after removal: they decide
/// which account is whose. An audience belongs to one verifier in one mode for ever. Everything else changes
/// under a growing version, after a delay in which users can see it coming.
abstract contract Verifiers is Ownable2Step {
    uint64 public constant MIN_DELAY = 1 days;
    uint64 public constant MAX_IAT_LIMIT = 1 days;
    uint256 public constant MAX_AUDIENCES = 32;
    uint256 public constant MAX_ALGORITHMS = 8;
    uint256 private constant _MAX_FIELD = 255;

    /// @dev Bound: the token names the session key (one round). TwoRound: commit first, then reveal.
    enum Mode {
        TwoRound,
        Bound
    }

    enum CaseRule {
        Exact,
        AsciiLower
    }

    struct Audience {
        string aud;
        Mode mode;
    }

    /// @dev What never changes.
    struct Identity {
        string name;
        string issuer;
        string idClaim;
        string sessionClaim;
        CaseRule caseRule;
    }

    /// @dev What a new version may change.
    struct Terms {
        string jwksUrl;
        Audience[] audiences;
        string[] algorithms;
        uint64 iatLimitS;
        address owner;
    }

    struct VerifierView {
        Identity identity;
        Terms terms;
        uint64 version;
        bool removed;
        uint64 effectiveAt;
    }

    /// @dev A version: which terms hold from when on. A removal holds on to the terms before it.
    struct Version {
        uint64 number;
        uint64 terms;
        uint64 effectiveAt;
        bool removed;
    }

    struct Verifier {
        Identity identity;
        Version current;
        Version pending;
        uint64 lastVersion;
        mapping(uint64 => Terms) terms;
    }

    struct Claim {
        bytes32 verifier;
        Mode mode;
    }

    /// @notice Seconds between the announcement of a change and its effect.
    uint64 public immutable changeDelayS;
    bool private immutable _allowsHttp;
    bytes32[] private _names;
    mapping(bytes32 => Verifier) private _verifiers;
    mapping(bytes32 => Claim) private _claims;

    event VerifierAdded(string name);
    event VerifierChangeAnnounced(string name, uint64 number, uint64 effectiveAt, bool removed);
    event VerifierChangeWithdrawn(string name, uint64 number);

    constructor(bool dev, uint64 delayS) {
        if (!dev && delayS < MIN_DELAY) revert DelayTooShort(delayS);
        changeDelayS = delayS;
        _allowsHttp = dev;
    }

    // ---- changes

    /// @notice Add a provider under a new name; takes effect at once, as nobody can have an account there yet.
    function addVerifier(Identity calldata identity, Terms calldata terms) external onlyOwner {
        if (!Text.isName(identity.name, 64)) revert BadVerifierName(identity.name);
        bytes32 id = keccak256(bytes(identity.name));
        Verifier storage v = _verifiers[id];
        if (v.lastVersion != 0) revert VerifierNameTaken(identity.name);
        if (!Text.isToken(identity.issuer, _MAX_FIELD)) revert BadVerifierField("issuer");
        if (!Text.isClaim(identity.idClaim)) revert BadVerifierField("idClaim");
        if (!Text.isClaim(identity.sessionClaim)) revert BadVerifierField("sessionClaim");
        v.identity = identity;
        v.lastVersion = 1;
        _names.push(id);
        _claim(id, identity.issuer, terms);
        _write(v.terms[1], terms);
        v.current = Version(1, 1, uint64(block.timestamp), false);
        emit VerifierAdded(identity.name);
    }

    /// @notice Announce new terms; they hold after the delay. One change at a time.
    function changeVerifier(string calldata name, Terms calldata terms) external {
        (bytes32 id, Verifier storage v) = _changeable(name);
        _claim(id, v.identity.issuer, terms);
        uint64 number = _announce(v, false);
        _write(v.terms[number], terms);
    }

    /// @notice Announce that the verifier takes no more logins. Its name and audiences stay taken.
    function removeVerifier(string calldata name) external {
        (, Verifier storage v) = _changeable(name);
        _announce(v, true);
    }

    /// @notice Take an announced change back before it holds. Its version number is not used again.
    function withdrawVerifierChange(string calldata name) external {
        (, Verifier storage v) = _owned(name);
        uint64 number = v.pending.number;
        if (number == 0) revert NoChangePending(name);
        delete v.pending;
        emit VerifierChangeWithdrawn(name, number);
    }

    // ---- views

    function verifierCount() external view returns (uint256) {
        return _names.length;
    }

    /// @notice Records in force at this block's time, in the order they were added.
    function getVerifiers(uint256 from, uint256 limit) external view returns (VerifierView[] memory page) {
        uint256 count = _names.length;
        if (from > count) from = count;
        if (limit > count - from) limit = count - from;
        page = new VerifierView[](limit);
        for (uint256 i = 0; i < limit; i++) {
            page[i] = _view(_verifiers[_names[from + i]]);
        }
    }

    function getVerifier(string calldata name) external view returns (VerifierView memory) {
        return _view(_known(name));
    }

    /// @notice The announced change, number 0 if there is none.
    function getPending(string calldata name) external view returns (Version memory pending) {
        Verifier storage v = _known(name);
        if (!_isDue(v)) pending = v.pending;
    }

    /// @notice Terms of a version, to see an announced change before it holds.
    function getTerms(string calldata name, uint64 number) external view returns (Terms memory) {
        return _known(name).terms[number];
    }

    // ---- inside

    function _isDue(Verifier storage v) private view returns (bool) {
        return v.pending.number != 0 && block.timestamp >= v.pending.effectiveAt;
    }

    function _inForce(Verifier storage v) private view returns (Version memory) {
        return _isDue(v) ? v.pending : v.current;
    }

    function _view(Verifier storage v) private view returns (VerifierView memory) {
        Version memory version = _inForce(v);
        return VerifierView(
            v.identity, v.terms[version.terms], version.number, version.removed, version.effectiveAt
        );
    }

    function _known(string calldata name) private view returns (Verifier storage v) {
        v = _verifiers[keccak256(bytes(name))];
        if (v.lastVersion == 0) revert UnknownVerifier(name);
    }

    /// @dev The verifier, for its owner or the registry's; a change whose time has come is in `current` now.
    function _owned(string calldata name) private returns (bytes32 id, Verifier storage v) {
        id = keccak256(bytes(name));
        v = _known(name);
        if (_isDue(v)) {
            v.current = v.pending;
            delete v.pending;
        }
        bool mine = msg.sender == v.terms[v.current.terms].owner || msg.sender == owner();
        if (!mine) revert NotVerifierOwner(msg.sender);
    }

    function _changeable(string calldata name) private returns (bytes32 id, Verifier storage v) {
        (id, v) = _owned(name);
        if (v.pending.number != 0) revert ChangePending(name);
        if (v.current.removed) revert VerifierRemoved(name);
    }

    function _announce(Verifier storage v, bool removed) private returns (uint64 number) {
        number = ++v.lastVersion;
        uint64 effectiveAt = uint64(block.timestamp) + changeDelayS;
        v.pending = Version(number, removed ? v.current.terms : number, effectiveAt, removed);
        emit VerifierChangeAnnounced(v.identity.name, number, effectiveAt, removed);
    }

    /// @dev Takes every (issuer, audience) for this verifier in its mode, for ever.
    function _claim(bytes32 id, string memory issuer, Terms calldata terms) private {
        uint256 count = terms.audiences.length;
        if (count == 0 || count > MAX_AUDIENCES) revert BadVerifierField("audiences");
        for (uint256 i = 0; i < count; i++) {
            Audience calldata a = terms.audiences[i];
            if (!Text.isToken(a.aud, _MAX_FIELD)) revert BadVerifierField("audiences");
            for (uint256 j = 0; j < i; j++) {
                if (keccak256(bytes(a.aud)) == keccak256(bytes(terms.audiences[j].aud))) {
                    revert AudienceTaken(issuer, a.aud);
                }
            }
            Claim storage c = _claims[keccak256(abi.encode(issuer, a.aud))];
            if (c.verifier == 0) (c.verifier, c.mode) = (id, a.mode);
            if (c.verifier != id) revert AudienceTaken(issuer, a.aud);
            if (c.mode != a.mode) revert AudienceModeFixed(issuer, a.aud);
        }
    }

    function _write(Terms storage to, Terms calldata terms) private {
        bool web = Text.startsWith(terms.jwksUrl, "https://")
            || (_allowsHttp && Text.startsWith(terms.jwksUrl, "http://"));
        if (!web || !Text.isToken(terms.jwksUrl, _MAX_FIELD)) revert BadVerifierField("jwksUrl");
        if (terms.iatLimitS == 0 || terms.iatLimitS > MAX_IAT_LIMIT) revert BadVerifierField("iatLimitS");
        if (terms.algorithms.length == 0 || terms.algorithms.length > MAX_ALGORITHMS) {
            revert BadVerifierField("algorithms");
        }
        for (uint256 i = 0; i < terms.algorithms.length; i++) {
            if (!_isAsymmetric(terms.algorithms[i])) revert BadVerifierField("algorithms");
            to.algorithms.push(terms.algorithms[i]);
        }
        to.jwksUrl = terms.jwksUrl;
        to.iatLimitS = terms.iatLimitS;
        to.owner = terms.owner;
        for (uint256 i = 0; i < terms.audiences.length; i++) {
            to.audiences.push(terms.audiences[i]);
        }
    }

    /// @dev Never `none`, never a shared secret: anyone who can check such a token can make one.
    function _isAsymmetric(string calldata algorithm) private pure returns (bool) {
        bytes32 h = keccak256(bytes(algorithm));
        return h == keccak256("RS256") || h == keccak256("RS384") || h == keccak256("RS512")
            || h == keccak256("PS256") || h == keccak256("PS384") || h == keccak256("PS512")
            || h == keccak256("ES256") || h == keccak256("ES384") || h == keccak256("ES512")
            || h == keccak256("EdDSA");
    }
}
